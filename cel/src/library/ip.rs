//! `ip`, `cidr` and their functions (k8s.io/apiserver/pkg/cel/library/{ip,cidr}.go).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address;
use super::arguments::{cidr, exactly, ip, string};
use crate::overload::Overload;
use crate::types::Type;
use crate::value::{EvalError, Opaque, Value};
use kindsmith_text::print::quoted;

/// A network, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The address, host bits included.
    pub(crate) address: IpAddr,
    /// The length of the prefix in bits.
    pub(crate) prefix: u8,
}

impl Cidr {
    /// The address without host bits.
    fn network(self) -> IpAddr {
        masked(self.address, self.prefix)
    }

    fn contains(self, ip: IpAddr) -> bool {
        self.address.is_ipv4() == ip.is_ipv4() && masked(ip, self.prefix) == self.network()
    }
}

fn masked(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & mask).into()
        }
    }
}

/// `parseIPAddr`: no zones, no IPv4 in IPv6.
fn parse_ip(text: &str) -> Result<IpAddr, String> {
    let found = address::parse(text)
        .map_err(|error| format!("IP Address {} parse error during conversion from string: {error}", quoted(text)))?;
    if found.zone.is_some() {
        return Err(format!("IP address {} with zone value is not allowed", quoted(text)));
    }
    if is_mapped(found.ip) {
        return Err(format!("IPv4-mapped IPv6 address {} is not allowed", quoted(text)));
    }
    Ok(found.ip)
}

fn is_mapped(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some())
}

/// `parseCIDR` over `netip.ParsePrefix`.
fn parse_cidr(text: &str) -> Result<Cidr, String> {
    let fault = |message: &str| {
        let text = quoted(text);
        Err(format!("network address parse error during conversion from string: netip.ParsePrefix({text}): {message}"))
    };
    let Some((address, bits)) = text.rsplit_once('/') else { return fault("no '/'") };
    let found = match address::parse(address) {
        Ok(found) => found,
        Err(error) => return fault(&error),
    };
    if found.zone.is_some() {
        return fault("IPv6 zones cannot be present in a prefix");
    }
    let digits = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
    if !digits || (bits.len() > 1 && bits.starts_with('0')) || bits.parse::<i64>().is_err() {
        return fault(&format!("bad bits after slash: {}", quoted(bits)));
    }
    let max = if found.ip.is_ipv4() { 32 } else { 128 };
    let prefix = match bits.parse::<u8>() {
        Ok(prefix) if prefix <= max => prefix,
        _ => return fault("prefix length out of range"),
    };
    if is_mapped(found.ip) {
        return Err(format!("IPv4-mapped IPv6 address {} is not allowed", quoted(text)));
    }
    Ok(Cidr { address: found.ip, prefix })
}

/// The functions of both libraries.
pub(crate) fn overloads() -> Vec<Overload> {
    let mut overloads = ip_overloads();
    overloads.extend(cidr_overloads());
    overloads
}

fn ip_overloads() -> Vec<Overload> {
    let address = || Type::Opaque("net.IP");
    let global = Overload::global;
    let receiver = Overload::receiver;
    vec![
        global(
            "ip",
            "string_to_ip",
            vec![Type::String],
            address(),
            Some(|args| {
                let [text] = exactly(args)?;
                parse_ip(string(text)?).map(|ip| Value::Opaque(Opaque::Ip(ip))).map_err(EvalError::failed)
            }),
        ),
        receiver(
            "family",
            "ip_family",
            vec![address()],
            Type::Int,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::Int(if ip(of)?.is_ipv4() { 4 } else { 6 }))
            }),
        ),
        global(
            "ip.isCanonical",
            "ip_is_canonical",
            vec![Type::String],
            Type::Bool,
            Some(|args| {
                let [text] = exactly(args)?;
                let text = string(text)?;
                parse_ip(text).map(|ip| Value::Bool(ip.to_string() == text)).map_err(EvalError::failed)
            }),
        ),
        receiver(
            "isUnspecified",
            "ip_is_unspecified",
            vec![address()],
            Type::Bool,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::Bool(ip(of)?.is_unspecified()))
            }),
        ),
        receiver(
            "isLoopback",
            "ip_is_loopback",
            vec![address()],
            Type::Bool,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::Bool(ip(of)?.is_loopback()))
            }),
        ),
        receiver(
            "isLinkLocalMulticast",
            "ip_is_link_local_multicast",
            vec![address()],
            Type::Bool,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::Bool(match ip(of)? {
                    IpAddr::V4(ip) => ip.octets().starts_with(&[224, 0, 0]),
                    IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
                }))
            }),
        ),
        receiver(
            "isLinkLocalUnicast",
            "ip_is_link_local_unicast",
            vec![address()],
            Type::Bool,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::Bool(is_link_local(ip(of)?)))
            }),
        ),
        receiver(
            "isGlobalUnicast",
            "ip_is_global_unicast",
            vec![address()],
            Type::Bool,
            Some(|args| {
                let [of] = exactly(args)?;
                let of = ip(of)?;
                let special = of.is_unspecified() || of.is_loopback() || of.is_multicast() || is_link_local(of);
                Ok(Value::Bool(!special && of != IpAddr::V4(Ipv4Addr::BROADCAST)))
            }),
        ),
        global(
            "isIP",
            "is_ip",
            vec![Type::String],
            Type::Bool,
            Some(|args| {
                let [text] = exactly(args)?;
                Ok(Value::Bool(parse_ip(string(text)?).is_ok()))
            }),
        ),
        global(
            "string",
            "ip_to_string",
            vec![address()],
            Type::String,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::text(ip(of)?.to_string()))
            }),
        ),
    ]
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn cidr_overloads() -> Vec<Overload> {
    let address = || Type::Opaque("net.IP");
    let network = || Type::Opaque("net.CIDR");
    let global = Overload::global;
    let receiver = Overload::receiver;
    vec![
        global(
            "cidr",
            "string_to_cidr",
            vec![Type::String],
            network(),
            Some(|args| {
                let [text] = exactly(args)?;
                network_of(string(text)?).map(|cidr| Value::Opaque(Opaque::Cidr(cidr)))
            }),
        ),
        receiver(
            "containsIP",
            "cidr_contains_ip_string",
            vec![network(), Type::String],
            Type::Bool,
            Some(|args| {
                let [of, other] = exactly(args)?;
                let (of, other) = (cidr(of)?, string(other)?);
                // What is wrong with the address is lost in Kubernetes.
                parse_ip(other).map(|other| Value::Bool(of.contains(other))).map_err(|_| EvalError::no_overload())
            }),
        ),
        receiver(
            "containsIP",
            "cidr_contains_ip_ip",
            vec![network(), address()],
            Type::Bool,
            Some(|args| {
                let [of, other] = exactly(args)?;
                Ok(Value::Bool(cidr(of)?.contains(ip(other)?)))
            }),
        ),
        receiver(
            "containsCIDR",
            "cidr_contains_cidr_string",
            vec![network(), Type::String],
            Type::Bool,
            Some(|args| {
                let [of, other] = exactly(args)?;
                let (of, other) = (cidr(of)?, network_of(string(other)?)?);
                Ok(Value::Bool(of.prefix <= other.prefix && of.contains(other.address)))
            }),
        ),
        receiver(
            "containsCIDR",
            "cidr_contains_cidr",
            vec![network(), network()],
            Type::Bool,
            Some(|args| {
                let [of, other] = exactly(args)?;
                let (of, other) = (cidr(of)?, cidr(other)?);
                Ok(Value::Bool(of.prefix <= other.prefix && of.contains(other.address)))
            }),
        ),
        receiver(
            "ip",
            "cidr_ip",
            vec![network()],
            address(),
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::Opaque(Opaque::Ip(cidr(of)?.address)))
            }),
        ),
        receiver(
            "prefixLength",
            "cidr_prefix_length",
            vec![network()],
            Type::Int,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::Int(i64::from(cidr(of)?.prefix)))
            }),
        ),
        receiver(
            "masked",
            "cidr_masked",
            vec![network()],
            network(),
            Some(|args| {
                let [of] = exactly(args)?;
                let of = cidr(of)?;
                Ok(Value::Opaque(Opaque::Cidr(Cidr { address: of.network(), prefix: of.prefix })))
            }),
        ),
        global(
            "isCIDR",
            "is_cidr",
            vec![Type::String],
            Type::Bool,
            Some(|args| {
                let [text] = exactly(args)?;
                Ok(Value::Bool(parse_cidr(string(text)?).is_ok()))
            }),
        ),
        global(
            "string",
            "cidr_to_string",
            vec![network()],
            Type::String,
            Some(|args| {
                let [of] = exactly(args)?;
                let Cidr { address, prefix } = cidr(of)?;
                Ok(Value::text(format!("{address}/{prefix}")))
            }),
        ),
    ]
}

fn network_of(text: &str) -> Result<Cidr, EvalError> {
    parse_cidr(text).map_err(|error| {
        EvalError::failed(format!("network address parse error during conversion from string: {error}"))
    })
}
