//! Users whom a front proxy names in headers.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

use super::{AuthenticationConfig, UserInfo};

/// Prefixes of headers that name a user in any cluster: they are taken off even when the cluster names others.
const KNOWN_PREFIX: &str = "x-remote-";

/// Takes all headers that name a user off the request, and returns the user whom they name, or why that cannot be told.
///
/// Values are bytes to Go, and names are written in UTF-8. What is not cannot be asked about, and is never dropped: to be in
/// fewer groups may be to have more rights.
pub(super) fn take_headers(headers: &mut HeaderMap, config: &AuthenticationConfig) -> Option<Result<UserInfo, String>> {
    let mut unreadable = None;
    let mut read = |name: &str, value: &HeaderValue| match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Some(text.to_owned()),
        Err(_) => {
            unreadable = Some(format!("the header {name} is not UTF-8"));
            None
        }
    };
    let mut values = |names: &[String]| -> Vec<String> {
        let all =
            names.iter().flat_map(|name| headers.get_all(name.to_ascii_lowercase()).iter().map(move |it| (name, it)));
        all.filter_map(|(name, value)| read(name, value)).collect()
    };
    let name = values(&config.username_headers).into_iter().find(|name| !name.is_empty());
    let uid = values(&config.uid_headers).into_iter().find(|uid| !uid.is_empty()).unwrap_or_default();
    let groups = values(&config.group_headers);
    let prefixes: Vec<String> = config.extra_prefixes.iter().map(|prefix| prefix.to_ascii_lowercase()).collect();
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut gone = Vec::new();
    let own = [&config.username_headers, &config.uid_headers, &config.group_headers];
    for (header, value) in headers.iter() {
        let header = header.as_str();
        if let Some(key) = prefixes.iter().find_map(|prefix| header.strip_prefix(prefix.as_str())) {
            if let Some(value) = read(header, value) {
                extra.entry(unescape(key)).or_default().push(value);
            }
            gone.push(header.to_owned());
        } else if header.starts_with(KNOWN_PREFIX)
            || own.iter().any(|names| names.iter().any(|name| name.eq_ignore_ascii_case(header)))
        {
            gone.push(header.to_owned());
        }
    }
    for header in gone {
        headers.remove(header);
    }
    match unreadable {
        Some(reason) => Some(Err(reason)),
        None => name.map(|name| Ok(UserInfo { name, uid, groups, extra })),
    }
}

/// Keys come percent-encoded; one that is encoded wrongly is taken as it is.
fn unescape(key: &str) -> String {
    let key = key.to_lowercase();
    match percent_decode_str(&key).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => key.clone(),
    }
}
