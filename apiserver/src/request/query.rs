//! The query string as parameters, as Go's `url.ParseQuery` reads it, within limits.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::error::BadRequest;

/// The longest query string that is read, in bytes.
pub const QUERY_BYTES_MAX: usize = 64 * 1024;

/// The most parameters that a query string may have.
pub const QUERY_PARAMETERS_MAX: usize = 1024;

/// The parameters in their order.
#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    parameters: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// What is malformed is left out, as Kubernetes does; what is too much is refused.
    pub(super) fn parse(query: Option<&'a str>) -> Result<Self, BadRequest> {
        let query = query.unwrap_or_default();
        if query.len() > QUERY_BYTES_MAX {
            let length = query.len();
            let message =
                format!("the query string is too long: {length} bytes, at most {QUERY_BYTES_MAX} are allowed");
            return Err(BadRequest::new(message));
        }
        let mut parameters = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (unescape(name), unescape(value)) else { continue };
            if parameters.len() == QUERY_PARAMETERS_MAX {
                let message = format!("the query has too many parameters: at most {QUERY_PARAMETERS_MAX} are allowed");
                return Err(BadRequest::new(message));
            }
            parameters.push((name, value));
        }
        Ok(Self { parameters })
    }

    /// Every value of a parameter.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.parameters.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_ref())
    }

    /// The first value of a parameter, which is the one that counts.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The first value of a parameter; an empty one is as good as none.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.first(name).filter(|value| !value.is_empty())
    }
}

fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    if malformed_escape(text).is_some() {
        return None;
    }
    let spaced = text.replace('+', " ");
    Some(Cow::Owned(percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned()))
}

/// The first `%` that two hexadecimal digits do not follow, with what follows it instead.
pub(super) fn malformed_escape(text: &str) -> Option<&str> {
    text.match_indices('%').find_map(|(start, _)| {
        let digits = text.as_bytes().get(start + 1..start + 3);
        if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return None;
        }
        let end = text[start..].char_indices().nth(3).map_or(text.len(), |(length, _)| start + length);
        Some(&text[start..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts_and_malformed_pairs_are_left_out() {
        let query = Query::parse(Some("a=1&a=2&b=%zz&c=x+y%20z&d;e=1&f&&g=%C3%A9")).unwrap();
        assert_eq!(query.first("a"), Some("1"));
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.first("b"), None);
        assert_eq!(query.first("c"), Some("x y z"));
        assert_eq!(query.first("f"), Some(""));
        assert_eq!(query.filled("f"), None);
        assert_eq!(query.first("g"), Some("é"));
        assert_eq!(query.parameters.len(), 5);
    }

    #[test]
    fn too_much_is_refused() {
        assert!(Query::parse(Some(&"a".repeat(QUERY_BYTES_MAX))).is_ok());
        assert!(Query::parse(Some(&"a".repeat(QUERY_BYTES_MAX + 1))).is_err());
        assert!(Query::parse(Some(&"a&".repeat(QUERY_PARAMETERS_MAX))).is_ok());
        assert!(Query::parse(Some(&"a&".repeat(QUERY_PARAMETERS_MAX + 1))).is_err());
    }
}
