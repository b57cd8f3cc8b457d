//! URLs (k8s.io/apiserver/pkg/cel/library/urls.go, Go's net/url).

/// A URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Url;
