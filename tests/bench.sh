#!/bin/sh
# Runs all benches and prints their tables: about half an hour on two processors, building included.
#
# Each figure stands beside its goal or beside the same operation of a peer in the same run; machines differ.
set -eu
cd "$(dirname "$0")/.."

part() {
    printf '\n== %s\n\n' "$1"
}

# The processes that are measured. Always all packages, so that everything is built once.
cargo build --release --workspace --bin kindsmith

part 'the schema engine, beside serde_json'
cargo bench --workspace --bench schema 2>/dev/null | sed -n '/^name  /,$p'
part 'objects in the embedded store, beside a CustomResourceDefinition in kube-apiserver'
cargo bench --workspace --bench beside_kube_apiserver
part 'objects in HelmReleases, beside HelmReleases themselves'
cargo bench --workspace --bench beside_helm_releases
part 'a thousand definitions'
cargo bench --workspace --bench many_definitions
