//! Users whom a front proxy names in headers.

use std::collections::BTreeMap;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::{AuthenticationConfig, UserInfo};

/// Prefixes of headers that name a user in any cluster: they are taken off even when the cluster names others.
const KNOWN_PREFIX: &str = "x-remote-";

/// Takes all headers that name a user off the request, and returns the user whom they name.
pub(super) fn take_headers(headers: &mut HeaderMap, config: &AuthenticationConfig) -> Option<UserInfo> {
    let values = |names: &[String]| -> Vec<String> {
        names
            .iter()
            .flat_map(|name| headers.get_all(name.to_ascii_lowercase()))
            .filter_map(|value| value.to_str().ok())
            .map(str::to_owned)
            .collect()
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
            if let Ok(value) = value.to_str() {
                extra.entry(unescape(key)).or_default().push(value.to_owned());
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
    name.map(|name| UserInfo { name, uid, groups, extra })
}

/// Keys come percent-encoded; one that is encoded wrongly is taken as it is.
fn unescape(key: &str) -> String {
    let key = key.to_lowercase();
    match percent_decode_str(&key).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => key.clone(),
    }
}
