//! The Accept header as clauses, most wanted first (github.com/munnerz/goautoneg, which Kubernetes uses).

use std::collections::BTreeMap;

/// The most clauses of an Accept header that are read; what follows is ignored.
pub const ACCEPT_CLAUSES_MAX: usize = 64;

/// One media type that a client accepts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clause<'a> {
    main: &'a str,
    sub: &'a str,
    quality: f32,
    /// Without `q`; a later one of the same name counts.
    pub(super) parameters: BTreeMap<&'a str, &'a str>,
}

impl<'a> Clause<'a> {
    /// Every well-formed clause. One that is not is left out.
    pub(super) fn parse_all(header: &'a str) -> Vec<Self> {
        let mut clauses: Vec<Self> = header.split(',').filter_map(Self::parse).take(ACCEPT_CLAUSES_MAX).collect();
        // The order that is wanted is not a consistent one, so that sorting algorithms differ; this is Go's for few.
        for end in 1..clauses.len() {
            let mut index = end;
            while index > 0 && clauses[index].before(&clauses[index - 1]) {
                clauses.swap(index, index - 1);
                index -= 1;
            }
        }
        clauses
    }

    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.trim_matches(' ').split(';');
        let (main, sub) = match parts.next()?.split_once('/') {
            Some((_, sub)) if sub.is_empty() || sub.contains('/') => return None,
            Some((main, sub)) => (main.trim_matches(' '), sub.trim_matches(' ')),
            None if text.trim_matches(' ').starts_with('*') => ("*", "*"),
            None => return None,
        };
        let mut clause = Self { main, sub, quality: 1.0, parameters: BTreeMap::new() };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            if value.is_empty() || value.contains('=') {
                continue;
            }
            match name.trim_matches(' ') {
                "q" => clause.quality = value.parse().unwrap_or(0.0),
                name => {
                    clause.parameters.insert(name, value.trim_matches(' '));
                }
            }
        }
        Some(clause)
    }

    /// Whether a media type is meant.
    pub(super) fn accepts(&self, main: &str, sub: &str) -> bool {
        (self.main == main && (self.sub == sub || self.sub == "*")) || (self.main == "*" && self.sub == "*")
    }

    fn before(&self, other: &Self) -> bool {
        self.quality > other.quality || (self.main != "*" && other.main == "*") || (self.sub != "*" && other.sub == "*")
    }
}

/// Which of some media types is wanted most, by its place among them; the first one where the client says nothing.
///
/// Source: k8s.io/kube-openapi/pkg/handler/handler.go.
#[must_use]
pub fn most_wanted(accept: Option<&str>, offered: &[&str]) -> Option<usize> {
    let Some(accept) = accept.filter(|accept| !accept.is_empty()) else { return Some(0) };
    let accepts =
        |clause: &Clause<'_>, offer: &str| offer.split_once('/').is_some_and(|(main, sub)| clause.accepts(main, sub));
    Clause::parse_all(accept).iter().find_map(|clause| offered.iter().position(|offer| accepts(clause, offer)))
}

/// Whether one of some media types is named, or any is taken: go-restful knows no other wildcard.
///
/// Source: github.com/emicklei/go-restful/v3/route.go (matchesAccept).
#[must_use]
pub fn names_one(accept: Option<&str>, offered: &[&str]) -> bool {
    let Some(accept) = accept.filter(|accept| !accept.is_empty()) else { return true };
    accept.split(',').take(ACCEPT_CLAUSES_MAX).any(|clause| {
        let named = clause.split(';').next().unwrap_or_default().trim();
        named == "*/*" || offered.contains(&named)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief(header: &str) -> Vec<String> {
        Clause::parse_all(header).iter().map(|clause| format!("{}/{}", clause.main, clause.sub)).collect()
    }

    #[test]
    fn better_and_more_specific_types_come_first() {
        assert_eq!(brief("a/b;q=0.5, c/d, e/f;q=0.9"), ["c/d", "e/f", "a/b"]);
        assert_eq!(brief("*/*, a/*, a/b"), ["a/b", "a/*", "*/*"]);
        assert_eq!(brief("*"), ["*/*"]);
    }

    #[test]
    fn malformed_clauses_are_left_out() {
        assert_eq!(brief("a, a/, a/b/c, ,x/y;=;q;q=z"), ["x/y"]);
        let clauses = Clause::parse_all("a/b; as=T ;v=1;v=2;c=d=e");
        assert_eq!(clauses[0].parameters, BTreeMap::from([("as", "T"), ("v", "2")]));
    }

    #[test]
    fn what_is_wanted_most_is_found_among_what_is_offered() {
        let offered = ["application/json", "application/x"];
        let wanted = |accept| most_wanted(Some(accept), &offered);
        assert_eq!(most_wanted(None, &offered), Some(0));
        assert_eq!((wanted(""), wanted("*/*"), wanted("application/*")), (Some(0), Some(0), Some(0)));
        assert_eq!(
            (wanted("application/x, application/json"), wanted("application/json;q=0.1,application/x")),
            (Some(1), Some(1))
        );
        assert_eq!((wanted("text/*"), wanted("application/yaml")), (None, None));
    }

    #[test]
    fn where_types_go_by_name_only_any_is_a_wildcard() {
        let names = |accept| names_one(Some(accept), &["application/json"]);
        assert!(names("") && names("*/*") && names("text/html, application/json;v=v2") && names_one(None, &[]));
        assert!(!names("application/*") && !names("text/*") && !names("application/yaml"));
    }

    #[test]
    fn the_number_of_clauses_is_bounded() {
        assert_eq!(Clause::parse_all(&"a/b,".repeat(1000)).len(), ACCEPT_CLAUSES_MAX);
    }
}
