module kindsmith.dev/tests/controlplane/gunzip

go 1.26.0
