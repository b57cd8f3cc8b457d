//! Mail addresses of RFC 5322, as Go's `net/mail.ParseAddress` reads them.

/// One address, with or without a name before it.
pub(super) fn is_email(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    if let Some(inner) = text.strip_suffix('>') {
        let Some(open) = inner.rfind('<') else { return false };
        let (name, address) = inner.split_at(open);
        return is_display_name(name) && is_address(&address[1..]);
    }
    is_address(text)
}

/// Words, quoted or not.
fn is_display_name(name: &str) -> bool {
    let mut rest = name.trim_matches([' ', '\t']);
    while !rest.is_empty() {
        rest = match quoted(rest) {
            Some(after) => after,
            None => {
                let end = rest.find([' ', '\t', '"']).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                if word.is_empty() || !word.chars().all(|c| is_atom(c) || c == '.') {
                    return false;
                }
                after
            }
        }
        .trim_start_matches([' ', '\t']);
    }
    true
}

/// `local@domain`.
fn is_address(text: &str) -> bool {
    let (local, domain) = if let Some(after) = quoted(text) {
        let Some(domain) = after.strip_prefix('@') else { return false };
        (None, domain)
    } else {
        let Some((local, domain)) = text.split_once('@') else { return false };
        (Some(local), domain)
    };
    local.is_none_or(is_dot_atom) && (is_dot_atom(domain) || is_literal(domain))
}

/// After a quoted string at the start of `text`.
fn quoted(text: &str) -> Option<&str> {
    let mut escaped = false;
    let inner = text.strip_prefix('"')?;
    for (i, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if i == 0 => return None,
            '"' => return Some(&inner[i + 1..]),
            c if c.is_control() && c != '\t' => return None,
            _ => {}
        }
    }
    None
}

fn is_dot_atom(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom))
}

/// `[…]`: an address instead of a domain.
fn is_literal(text: &str) -> bool {
    text.strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .is_some_and(|address| address.parse::<std::net::IpAddr>().is_ok())
}

fn is_atom(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
}
