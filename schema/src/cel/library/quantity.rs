//! Quantities (k8s.io/apiserver/pkg/cel/library/quantity.go, apimachinery/pkg/api/resource).

/// A quantity.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Quantity;
