//! The format of a Status: errors are told in the media type that the client asked for, as far as it has one for them.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/writers.go (ErrorNegotiated).

use super::{accept::Clause, query::Query, representation};

/// How a Status is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFormat {
    /// JSON.
    Json(representation::Pretty),
    /// YAML.
    Yaml,
    /// Protobuf.
    Protobuf,
}

impl StatusFormat {
    /// The format for a request with these headers. Conversions are not for a Status; who takes nothing that there is
    /// gets JSON.
    #[must_use]
    pub fn negotiate(accept: Option<&str>, query: Option<&str>, user_agent: Option<&str>) -> Self {
        let pretty = || match Query::parse(query) {
            Ok(query) => representation::wants_pretty(&query, user_agent),
            Err(_) => representation::Pretty::No,
        };
        let Some(accept) = accept.filter(|accept| !accept.is_empty()) else { return Self::Json(pretty()) };
        for clause in Clause::parse_all(accept) {
            if ["as", "g", "v"].iter().any(|name| clause.parameters.contains_key(name)) {
                continue;
            }
            let accepts = |sub| clause.accepts("application", sub);
            if accepts("json") {
                return Self::Json(pretty());
            }
            if accepts("yaml") {
                return Self::Yaml;
            }
            if accepts("vnd.kubernetes.protobuf") {
                return Self::Protobuf;
            }
        }
        Self::Json(representation::Pretty::No)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::request::Pretty;

    #[rstest]
    #[case("", StatusFormat::Json(Pretty::No))]
    #[case("application/yaml", StatusFormat::Yaml)]
    #[case("application/json;as=Table;v=v1;g=meta.k8s.io, application/yaml", StatusFormat::Yaml)]
    #[case("application/vnd.kubernetes.protobuf,application/json", StatusFormat::Protobuf)]
    #[case("text/html", StatusFormat::Json(Pretty::No))]
    fn the_first_type_that_can_be_made_is_taken(#[case] accept: &str, #[case] format: StatusFormat) {
        assert_eq!(StatusFormat::negotiate(Some(accept), None, None), format);
    }
}
