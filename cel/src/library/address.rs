//! IP addresses as Go's `net/netip` reads them, with its complaints.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kindsmith_text::print::quoted;

/// An address; one of version 6 may have a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address<'t> {
    /// The address.
    pub(super) ip: IpAddr,
    /// What follows a percent sign.
    pub(super) zone: Option<&'t str>,
}

/// `netip.ParseAddr`.
pub(super) fn parse(text: &str) -> Result<Address<'_>, String> {
    let fault = |message: &'static str| complaint(text, &Fault { message, at: "" });
    match text.bytes().find(|b| b".:%".contains(b)) {
        Some(b'.') => version4(text).map(|ip| Address { ip: ip.into(), zone: None }).map_err(|f| complaint(text, &f)),
        Some(b':') => version6(text).map_err(|f| complaint(text, &f)),
        Some(_) => Err(fault("missing IPv6 address")),
        None => Err(fault("unable to parse IP")),
    }
}

struct Fault<'t> {
    message: &'static str,
    at: &'t str,
}

fn complaint(text: &str, fault: &Fault<'_>) -> String {
    let Fault { message, at } = fault;
    let text = quoted(text);
    if at.is_empty() {
        format!("ParseAddr({text}): {message}")
    } else {
        format!("ParseAddr({text}): {message} (at {})", quoted(at))
    }
}

fn version4(text: &str) -> Result<Ipv4Addr, Fault<'_>> {
    let fault = |message| Fault { message, at: "" };
    let bytes = text.as_bytes();
    let mut fields = [0u8; 4];
    let (mut field, mut value, mut digits) = (0, 0u16, 0);
    for (i, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                if digits == 1 && value == 0 {
                    return Err(fault("IPv4 field has octet with leading zero"));
                }
                value = value * 10 + u16::from(byte - b'0');
                digits += 1;
                if value > 255 {
                    return Err(fault("IPv4 field has value >255"));
                }
            }
            b'.' => {
                if i == 0 || i == bytes.len() - 1 || bytes[i - 1] == b'.' {
                    return Err(Fault { message: "IPv4 field must have at least one digit", at: &text[i..] });
                }
                if field == 3 {
                    return Err(fault("IPv4 address too long"));
                }
                fields[field] = u8::try_from(value).unwrap_or(u8::MAX);
                field += 1;
                (value, digits) = (0, 0);
            }
            _ => return Err(Fault { message: "unexpected character", at: text.get(i..).unwrap_or_default() }),
        }
    }
    if field < 3 {
        return Err(fault("IPv4 address too short"));
    }
    fields[3] = u8::try_from(value).unwrap_or(u8::MAX);
    Ok(Ipv4Addr::from(fields))
}

fn version6(text: &str) -> Result<Address<'_>, Fault<'_>> {
    let (mut rest, zone) = match text.split_once('%') {
        Some((_, "")) => return Err(Fault { message: "zone must be a non-empty string", at: "" }),
        Some((rest, zone)) => (rest, Some(zone)),
        None => (text, None),
    };
    let address = |octets: [u8; 16]| Ok(Address { ip: Ipv6Addr::from(octets).into(), zone });
    let mut octets = [0u8; 16];
    let mut ellipsis = None;
    let mut filled = 0;
    if let Some(after) = rest.strip_prefix("::") {
        ellipsis = Some(0);
        rest = after;
        if rest.is_empty() {
            return address(octets);
        }
    }
    while filled < 16 {
        let fault = |message| Fault { message, at: rest };
        let length = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        if length > 4 {
            return Err(fault("each group must have 4 or less digits"));
        }
        if length == 0 {
            return Err(fault("each colon-separated field must have at least one digit"));
        }
        if rest.as_bytes().get(length) == Some(&b'.') {
            if ellipsis.is_none() && filled != 12 {
                return Err(fault("embedded IPv4 address must replace the final 2 fields of the address"));
            }
            if filled + 4 > 16 {
                return Err(fault("too many hex fields to fit an embedded IPv4 at the end of the address"));
            }
            octets[filled..filled + 4].copy_from_slice(&version4(rest)?.octets());
            filled += 4;
            rest = "";
            break;
        }
        let group = u16::from_str_radix(&rest[..length], 16).unwrap_or_default();
        octets[filled..filled + 2].copy_from_slice(&group.to_be_bytes());
        filled += 2;
        rest = &rest[length..];
        if rest.is_empty() {
            break;
        }
        let Some(after) = rest.strip_prefix(':') else {
            return Err(Fault { message: "unexpected character, want colon", at: rest });
        };
        if after.is_empty() {
            return Err(Fault { message: "colon must be followed by more characters", at: rest });
        }
        rest = after;
        if let Some(after) = rest.strip_prefix(':') {
            if ellipsis.is_some() {
                return Err(Fault { message: "multiple :: in address", at: rest });
            }
            ellipsis = Some(filled);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
    }
    if !rest.is_empty() {
        return Err(Fault { message: "trailing garbage after address", at: rest });
    }
    match ellipsis {
        None if filled < 16 => Err(Fault { message: "address string too short", at: "" }),
        Some(_) if filled == 16 => Err(Fault { message: "the :: must expand to at least one field of zeros", at: "" }),
        Some(start) => {
            octets.copy_within(start..filled, 16 - (filled - start));
            octets[start..start + 16 - filled].fill(0);
            address(octets)
        }
        None => address(octets),
    }
}
