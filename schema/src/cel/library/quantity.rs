//! Quantities (k8s.io/apiserver/pkg/cel/library/quantity.go, apimachinery/pkg/api/resource).

/// A quantity.
#[derive(Debug)]
pub(crate) struct Quantity;
