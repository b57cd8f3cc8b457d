//! URLs (k8s.io/apiserver/pkg/cel/library/urls.go, Go's net/url).

/// A URL.
#[derive(Debug)]
pub(crate) struct Url;
