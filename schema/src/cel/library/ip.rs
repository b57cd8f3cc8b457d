//! `ip`, `cidr` and their functions (k8s.io/apiserver/pkg/cel/library/{ip,cidr}.go).

/// A network, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    /// The address, host bits included.
    pub(crate) address: std::net::IpAddr,
    /// The length of the prefix in bits.
    pub(crate) prefix: u8,
}
