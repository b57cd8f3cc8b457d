//! The options of list, watch and deletecollection.
//!
//! Follows apimachinery pkg/apis/meta/internalversion/{defaults,validation/validation}.go and, for what a storage
//! refuses, apiserver pkg/storage/interfaces.go (ValidateListOptions).

use std::num::NonZeroU64;
use std::time::Duration;

use super::continue_token::ContinueToken;
use super::error::{Cause, OptionsError, aggregate, check};
use super::field_selector::FieldSelector;
use super::go_text::{self, is_true};
use super::label_selector::LabelSelector;
use super::query::Query;
use super::resource_version::{ResourceVersion, ResourceVersionMatch};
use super::target::Verb;

const KIND: &str = "ListOptions";

/// Whether a watch wants bookmark events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bookmarks {
    /// `allowWatchBookmarks=true`.
    Wanted,
    /// Not asked for.
    #[default]
    Unwanted,
}

/// Whether a watch begins with what exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitialEvents {
    /// Every existing object as an ADDED event, then the bookmark that says so.
    Send,
    /// Only what happens from now on.
    Skip,
}

/// What a list, a watch or a deletecollection asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListOptions {
    /// Which labels the objects have.
    pub label_selector: LabelSelector,
    /// Which fields the objects have. Whether the kind knows the fields is the registry's to say.
    pub field_selector: FieldSelector,
    /// The most objects in one page; absent means all.
    pub limit: Option<NonZeroU64>,
    /// Where the previous page ended.
    pub continue_token: Option<ContinueToken>,
    /// Which state.
    pub resource_version: ResourceVersion,
    /// How `resource_version` is meant.
    pub resource_version_match: Option<ResourceVersionMatch>,
    /// How long a watch lasts; absent means that the server chooses, and zero that it ends at once.
    pub timeout: Option<Duration>,
    /// Whether bookmarks are wanted.
    pub allow_watch_bookmarks: Bookmarks,
    /// How a watch begins; never present for a list.
    pub send_initial_events: Option<InitialEvents>,
}

/// What the query says, before any rule is applied.
pub(super) struct Decoded<'q> {
    pub(super) label_selector: LabelSelector,
    pub(super) field_selector: FieldSelector,
    limit: Option<NonZeroU64>,
    timeout: Option<Duration>,
    continue_token: Option<&'q str>,
    resource_version: Option<&'q str>,
    version_match: Option<&'q str>,
    allow_watch_bookmarks: Bookmarks,
    send_initial_events: Option<InitialEvents>,
}

impl ListOptions {
    /// The options of a list or a deletecollection.
    pub fn for_list(query: Option<&str>, selectable: impl Fn(&str) -> bool) -> Result<Self, OptionsError> {
        let query = Query::parse(query)?;
        let decoded = Self::decode(&query)?;
        check(KIND, decoded.list_causes())?;
        decoded.check_fields(selectable)?;
        let continue_token = decoded.continue_token.map(decode_continue).transpose()?;
        if continue_token.is_some() && decoded.resource_version.is_some_and(|version| version != "0") {
            let message = "specifying resource version is not allowed when using continue";
            return Err(OptionsError::BadRequest(message.to_owned()));
        }
        let resource_version = ResourceVersion::parse(decoded.resource_version).map_err(bad_version)?;
        Ok(decoded.finish(resource_version, continue_token))
    }

    /// The options of a watch; its field selector may name what is `selectable`.
    pub fn for_watch(query: Option<&str>, selectable: impl Fn(&str) -> bool) -> Result<Self, OptionsError> {
        let query = Query::parse(query)?;
        let mut decoded = Self::decode(&query)?;
        decoded.default_watch();
        check(KIND, decoded.watch_causes())?;
        decoded.check_fields(selectable)?;
        let resource_version = ResourceVersion::parse(decoded.resource_version)
            .map_err(|cause| OptionsError::Plain(aggregate(&[cause])))?;
        // A watch does not page: a token in its query has no meaning and is not read.
        Ok(decoded.finish(resource_version, None))
    }

    /// Narrows the options to one object, for a watch whose path has a name and for a `metadata.name` selector.
    ///
    /// A field selector beside the name must say the same (apiserver pkg/endpoints/handlers/get.go, listOpts).
    pub fn restrict_to_name(&mut self, name: &str) -> Result<(), OptionsError> {
        if self.field_selector.is_empty() {
            self.field_selector = FieldSelector::equal("metadata.name", name);
            return Ok(());
        }
        if self.field_selector.exact("metadata.name") == Some(name) {
            return Ok(());
        }
        Err(OptionsError::BadRequest("fieldSelector metadata.name doesn't match requested name".to_owned()))
    }

    /// Reads the parameters in the order in which Kubernetes finds fault with them.
    pub(super) fn decode<'q>(query: &'q Query<'_>) -> Result<Decoded<'q>, OptionsError> {
        let number = |name: &str| query.first(name).map(go_text::parse_int).transpose();
        let timeout_seconds = number("timeoutSeconds").map_err(OptionsError::BadRequest)?;
        let limit = number("limit").map_err(OptionsError::BadRequest)?;
        let truth = |name: &str| query.first(name).map(is_true);
        Ok(Decoded {
            label_selector: LabelSelector::parse(query.first("labelSelector").unwrap_or_default())?,
            field_selector: FieldSelector::parse(query.first("fieldSelector").unwrap_or_default())?,
            limit: limit.and_then(|limit| u64::try_from(limit).ok()).and_then(NonZeroU64::new),
            timeout: timeout_seconds.and_then(watch_timeout),
            continue_token: query.filled("continue"),
            resource_version: query.filled("resourceVersion"),
            version_match: query.filled("resourceVersionMatch"),
            allow_watch_bookmarks: match truth("allowWatchBookmarks") {
                Some(true) => Bookmarks::Wanted,
                _ => Bookmarks::Unwanted,
            },
            send_initial_events: truth("sendInitialEvents").map(|send| match send {
                true => InitialEvents::Send,
                false => InitialEvents::Skip,
            }),
        })
    }
}

impl Decoded<'_> {
    /// Refuses selectors on fields that cannot be selected by.
    fn check_fields(&self, selectable: impl Fn(&str) -> bool) -> Result<(), OptionsError> {
        match self.field_selector.fields().find(|field| !selectable(field)) {
            Some(field) => Err(OptionsError::BadRequest(format!("field label not supported: {field}"))),
            None => Ok(()),
        }
    }

    fn list_causes(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        let mut forbid = |field: &str, detail: &str| causes.push(Cause::forbidden(field, detail));
        const MATCH: &str = "resourceVersionMatch";
        if let Some(version_match) = self.version_match {
            if self.resource_version.is_none() {
                forbid(MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided");
            }
            if self.continue_token.is_some() {
                forbid(MATCH, "resourceVersionMatch is forbidden when continue is provided");
            }
            match ResourceVersionMatch::parse(version_match) {
                None => {
                    let supported = [ResourceVersionMatch::EXACT, ResourceVersionMatch::NOT_OLDER_THAN, ""];
                    causes.push(Cause::not_supported(MATCH, &go_text::json(version_match), &supported));
                }
                Some(ResourceVersionMatch::Exact) if self.resource_version == Some("0") => {
                    forbid(MATCH, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
                }
                Some(_) => {}
            }
        }
        if self.send_initial_events.is_some() {
            causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
        causes
    }

    /// A watch from nowhere in particular begins with what exists.
    fn default_watch(&mut self) {
        let legacy = matches!(self.resource_version, None | Some("0"));
        if legacy && self.send_initial_events.is_none() && self.version_match.is_none() {
            self.send_initial_events = Some(InitialEvents::Send);
            self.version_match = Some(ResourceVersionMatch::NOT_OLDER_THAN);
        }
    }

    fn watch_causes(&self) -> Vec<Cause> {
        const MATCH: &str = "resourceVersionMatch";
        let mut causes = Vec::new();
        let not_older_than = self.version_match == Some(ResourceVersionMatch::NOT_OLDER_THAN);
        if self.send_initial_events.is_some() && !not_older_than {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            causes.push(Cause::forbidden(MATCH, detail));
        }
        if let Some(version_match) = self.version_match {
            if self.send_initial_events.is_none() {
                let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                causes.push(Cause::forbidden(MATCH, detail));
            }
            if !not_older_than {
                let supported = [ResourceVersionMatch::NOT_OLDER_THAN];
                causes.push(Cause::not_supported(MATCH, &go_text::json(version_match), &supported));
            }
            if self.continue_token.is_some() {
                causes.push(Cause::forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
            }
        }
        causes
    }

    fn finish(self, resource_version: ResourceVersion, continue_token: Option<ContinueToken>) -> ListOptions {
        ListOptions {
            label_selector: self.label_selector,
            field_selector: self.field_selector,
            // What comes from memory comes whole (cacher.go, computeListLimit).
            limit: self.limit.filter(|_| resource_version != ResourceVersion::Any),
            continue_token,
            resource_version,
            resource_version_match: self.version_match.and_then(ResourceVersionMatch::parse),
            timeout: self.timeout,
            allow_watch_bookmarks: self.allow_watch_bookmarks,
            send_initial_events: self.send_initial_events,
        }
    }
}

/// How long a watch lasts at most, whatever its client asks for.
const WATCH_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long a watch is to last: none for 0. What is negative ends it at once, and so does what is more nanoseconds than Go's
/// `time.Duration` holds and comes out as negative there (get.go, handleWatch).
fn watch_timeout(seconds: i64) -> Option<Duration> {
    const NANOSECONDS: i64 = 1_000_000_000;
    match seconds.wrapping_mul(NANOSECONDS) {
        0 => None,
        nanoseconds => Some(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default()).min(WATCH_MAX)),
    }
}

fn decode_continue(token: &str) -> Result<ContinueToken, OptionsError> {
    ContinueToken::decode(token)
        .map_err(|problem| OptionsError::BadRequest(format!("invalid continue token: {problem}")))
}

pub(super) fn bad_version(cause: Cause) -> OptionsError {
    OptionsError::BadRequest(format!("invalid resource version: {}", aggregate(&[cause])))
}

/// The selectors that authorization may take into account: none for verbs that have none, and none where they are
/// malformed, which then only means that nothing narrower is asked (requestinfo.go, and plugin/pkg/authorizer/webhook).
pub fn authorization_selectors(verb: Verb, query: Option<&str>) -> (LabelSelector, FieldSelector) {
    let Ok(query) = Query::parse(query) else { return Default::default() };
    match verb {
        Verb::List | Verb::Watch | Verb::DeleteCollection => {
            let labels = LabelSelector::parse(query.first("labelSelector").unwrap_or_default());
            let fields = FieldSelector::parse(query.first("fieldSelector").unwrap_or_default());
            (labels.unwrap_or_default(), fields.unwrap_or_default())
        }
        _ => Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::request::continue_token::ContinueRevision;

    const INVALID: &str = "ListOptions.meta.k8s.io \"\" is invalid: ";

    #[test]
    fn a_watch_lasts_as_long_as_go_understands() {
        assert_eq!(watch_timeout(0), None);
        assert_eq!(watch_timeout(-3), Some(Duration::ZERO));
        assert_eq!(watch_timeout(9), Some(Duration::from_secs(9)));
        assert_eq!(watch_timeout(9_000_000_000), Some(WATCH_MAX));
        assert_eq!(watch_timeout(i64::MAX), Some(Duration::ZERO), "it is negative in nanoseconds");
        assert_eq!(watch_timeout(i64::MIN), None, "it is 0 in nanoseconds");
    }

    #[test]
    fn every_parameter_is_read() {
        let token = ContinueToken::after(ContinueRevision::At(3), "x/a");
        let query = format!(
            "labelSelector=a%3Db&fieldSelector=metadata.name%3Dc&limit=5&continue={}&resourceVersion=0\
             &timeoutSeconds=9&allowWatchBookmarks=true",
            token.encode()
        );
        let options = ListOptions::for_list(Some(&query), |_| true).unwrap();
        let expected = ListOptions {
            label_selector: LabelSelector::parse("a=b").unwrap(),
            field_selector: FieldSelector::parse("metadata.name=c").unwrap(),
            // What comes from memory comes whole.
            limit: None,
            continue_token: Some(token),
            resource_version: ResourceVersion::Any,
            resource_version_match: None,
            timeout: Some(Duration::from_secs(9)),
            allow_watch_bookmarks: Bookmarks::Wanted,
            send_initial_events: None,
        };
        assert_eq!(options, expected);
    }

    #[rstest]
    #[case("limit=0&timeoutSeconds=0")]
    #[case("limit=-1")]
    #[case("resourceVersion=&continue=&resourceVersionMatch=&labelSelector=&fieldSelector=&other=1")]
    fn nothing_is_asked_by_empty_and_non_positive_values(#[case] query: &str) {
        assert_eq!(ListOptions::for_list(Some(query), |_| true), Ok(ListOptions::default()));
    }

    #[rstest]
    #[case("resourceVersion=5&resourceVersionMatch=Exact", ResourceVersionMatch::Exact)]
    #[case("resourceVersion=0&resourceVersionMatch=NotOlderThan", ResourceVersionMatch::NotOlderThan)]
    fn a_list_may_say_how_its_version_is_meant(#[case] query: &str, #[case] expected: ResourceVersionMatch) {
        assert_eq!(ListOptions::for_list(Some(query), |_| true).unwrap().resource_version_match, Some(expected));
    }

    const MATCH: &str = "resourceVersionMatch";

    #[rstest]
    #[case(
        "resourceVersionMatch=Exact",
        "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
    )]
    #[case(
        "resourceVersionMatch=Exact&resourceVersion=0",
        "Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""
    )]
    #[case(
        "resourceVersionMatch=Exact&resourceVersion=1&continue=x",
        "Forbidden: resourceVersionMatch is forbidden when continue is provided"
    )]
    #[case(
        "resourceVersionMatch=x&resourceVersion=1",
        "Unsupported value: \"x\": supported values: \"Exact\", \"NotOlderThan\", \"\""
    )]
    fn a_list_may_not_be_contradictory(#[case] query: &str, #[case] message: &str) {
        let refusal = ListOptions::for_list(Some(query), |_| true).unwrap_err();
        assert_eq!(refusal.to_string(), format!("{INVALID}{MATCH}: {message}"));
    }

    #[test]
    fn a_list_has_no_initial_events() {
        let refusal = ListOptions::for_list(Some("sendInitialEvents=false"), |_| true).unwrap_err();
        let message = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list";
        assert_eq!(refusal.to_string(), format!("{INVALID}{message}"));
    }

    #[rstest]
    #[case("limit=x", "strconv.ParseInt: parsing \"x\": invalid syntax")]
    #[case("timeoutSeconds=", "strconv.ParseInt: parsing \"\": invalid syntax")]
    #[case("labelSelector=,", "found ',', expected: !, identifier, or 'end of string'")]
    #[case("fieldSelector=a", "invalid selector: 'a'; can't understand 'a'")]
    #[case(
        "resourceVersion=x",
        "invalid resource version: resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid \
         syntax"
    )]
    #[case("continue=*", "invalid continue token: continue key is not valid: illegal base64 data at input byte 0")]
    #[case(
        "continue=eyJydiI6Nywic3RhcnQiOiJhIiwidiI6Im1ldGEuazhzLmlvL3YxIn0&resourceVersion=5",
        "specifying resource version is not allowed when using continue"
    )]
    fn a_list_that_cannot_be_read_is_a_bad_request(#[case] query: &str, #[case] message: &str) {
        assert_eq!(ListOptions::for_list(Some(query), |_| true), Err(OptionsError::BadRequest(message.to_owned())));
    }

    #[rstest]
    #[case("", Some(InitialEvents::Send))]
    #[case("resourceVersion=0", Some(InitialEvents::Send))]
    #[case("resourceVersion=7", None)]
    #[case("resourceVersion=7&sendInitialEvents=1&resourceVersionMatch=NotOlderThan", Some(InitialEvents::Send))]
    #[case("sendInitialEvents=false&resourceVersionMatch=NotOlderThan", Some(InitialEvents::Skip))]
    fn a_watch_from_nowhere_begins_with_what_exists(#[case] query: &str, #[case] expected: Option<InitialEvents>) {
        let options = ListOptions::for_watch(Some(query), |_| true).unwrap();
        assert_eq!(options.send_initial_events, expected);
        assert_eq!(options.resource_version_match, expected.map(|_| ResourceVersionMatch::NotOlderThan));
    }

    #[rstest]
    #[case(
        "resourceVersion=1&sendInitialEvents=1",
        "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    )]
    #[case(
        "resourceVersion=1&resourceVersionMatch=NotOlderThan",
        "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
    )]
    #[case(
        "sendInitialEvents=1&resourceVersionMatch=NotOlderThan&continue=x",
        "Forbidden: resourceVersionMatch is forbidden when continue is provided"
    )]
    fn a_watch_may_not_be_contradictory(#[case] query: &str, #[case] message: &str) {
        let refusal = ListOptions::for_watch(Some(query), |_| true).unwrap_err();
        assert_eq!(refusal.to_string(), format!("{INVALID}{MATCH}: {message}"));
    }

    #[test]
    fn a_watch_of_an_exact_state_is_refused_for_both_reasons() {
        let refusal =
            ListOptions::for_watch(Some("sendInitialEvents=1&resourceVersionMatch=Exact"), |_| true).unwrap_err();
        let OptionsError::Invalid(invalid) = refusal else { panic!("{refusal}") };
        let reasons: Vec<_> = invalid.causes.iter().map(|cause| cause.reason.as_str()).collect();
        assert_eq!(reasons, ["FieldValueForbidden", "FieldValueNotSupported"]);
        assert_eq!(invalid.causes[1].message, "Unsupported value: \"Exact\": supported values: \"NotOlderThan\"");
    }

    #[test]
    fn a_watch_from_an_unreadable_version_is_invalid() {
        let refusal = ListOptions::for_watch(Some("resourceVersion=x"), |_| true).unwrap_err();
        assert!(matches!(&refusal, OptionsError::Plain(text) if text.starts_with("resourceVersion: ")));
    }

    #[test]
    fn a_name_in_the_path_and_a_selected_one_must_agree() {
        let mut everything = ListOptions::default();
        everything.restrict_to_name("a").unwrap();
        assert_eq!(everything.field_selector.exact("metadata.name"), Some("a"));
        everything.restrict_to_name("a").unwrap();
        let refusal = everything.restrict_to_name("b").unwrap_err();
        assert_eq!(refusal.to_string(), "fieldSelector metadata.name doesn't match requested name");
    }

    #[test]
    fn authorization_sees_the_selectors_of_collections_only() {
        let query = Some("labelSelector=a&fieldSelector=b%3Dc");
        let (labels, fields) = authorization_selectors(Verb::Watch, query);
        assert_eq!((labels.to_string(), fields.to_string()), ("a".to_owned(), "b=c".to_owned()));
        assert_eq!(authorization_selectors(Verb::Get, query), Default::default());
        let (labels, fields) = authorization_selectors(Verb::List, Some("labelSelector=,&fieldSelector=b%3Dc"));
        assert!(labels.is_empty() && !fields.is_empty());
    }

    proptest! {
        #[test]
        fn no_query_panics(
            parameters in prop::collection::vec(
                (
                    "labelSelector|fieldSelector|limit|continue|resourceVersion(Match)?|sendInitialEvents|.{1,5}",
                    ".{0,20}",
                ),
                0..6,
            )
        ) {
            let pairs: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let query = pairs.join("&");
            let _ = ListOptions::for_list(Some(&query), |_| true);
            let _ = ListOptions::for_watch(Some(&query), |_| true);
        }
    }
}
