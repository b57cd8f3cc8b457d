//! Which state a read asks for: the `resourceVersion` and `resourceVersionMatch` parameters.

use super::error::Cause;
use super::go_text;

/// The state that a read asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResourceVersion {
    /// Not given: the most recent state.
    #[default]
    Unset,
    /// `0`: any state will do.
    Any,
    /// That state, or one that is not older, as the verb and the match say.
    At(u64),
}

impl ResourceVersion {
    /// Reads the parameter's value (apiserver pkg/storage/api_object_versioner.go, ParseResourceVersion).
    pub(super) fn parse(value: Option<&str>) -> Result<Self, Cause> {
        match value.unwrap_or_default() {
            "" => Ok(Self::Unset),
            "0" => Ok(Self::Any),
            text => match go_text::parse_uint(text) {
                // Zero with more digits: the number counts, not its spelling.
                Ok(0) => Ok(Self::Any),
                Ok(version) => Ok(Self::At(version)),
                Err(problem) => Err(Cause::invalid("resourceVersion", text, &problem)),
            },
        }
    }
}

/// How a list's resourceVersion is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceVersionMatch {
    /// That state or a later one.
    NotOlderThan,
    /// Exactly that state.
    Exact,
}

impl ResourceVersionMatch {
    pub(super) const NOT_OLDER_THAN: &'static str = "NotOlderThan";
    pub(super) const EXACT: &'static str = "Exact";

    pub(super) fn parse(value: &str) -> Option<Self> {
        match value {
            Self::NOT_OLDER_THAN => Some(Self::NotOlderThan),
            Self::EXACT => Some(Self::Exact),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_version_is_unset_any_or_a_number() {
        assert_eq!(ResourceVersion::parse(None), Ok(ResourceVersion::Unset));
        assert_eq!(ResourceVersion::parse(Some("")), Ok(ResourceVersion::Unset));
        assert_eq!(ResourceVersion::parse(Some("0")), Ok(ResourceVersion::Any));
        assert_eq!(ResourceVersion::parse(Some("12")), Ok(ResourceVersion::At(12)));
        assert_eq!(
            ResourceVersion::parse(Some("x")).unwrap_err().to_string(),
            "resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid syntax"
        );
    }
}
