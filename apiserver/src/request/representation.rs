//! How an answer is written: format and shape from Accept, query and User-Agent.
//!
//! Follows apiserver pkg/endpoints/handlers/{negotiation/negotiate,rest,response,watch}.go and, for discovery,
//! pkg/endpoints/discovery/aggregated. Protobuf is chosen for what is no custom resource: metadata alone, and discovery.

use super::accept::Clause;
use super::body::MEDIA_TYPES;
use super::error::{BadRequest, Cause, NegotiationError, NotAcceptable};
use super::query::Query;

/// What kind of answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// One object: get and every write.
    Object,
    /// A list, and what deletecollection answers.
    List,
    /// Events of one object each.
    Watch,
    /// A discovery document that there is in both forms.
    Discovery,
    /// A discovery document of one group or one version.
    PlainDiscovery,
}

/// Whether JSON is indented for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pretty {
    /// As short as it can be.
    No,
    /// Indented.
    Yes,
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json {
        /// Whether it is indented.
        pretty: Pretty,
    },
    /// YAML.
    Yaml,
    /// Protobuf; only metadata and discovery.
    Protobuf,
}

/// The version of a meta.k8s.io kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaVersion {
    /// `meta.k8s.io/v1`.
    V1,
    /// `meta.k8s.io/v1beta1`.
    V1Beta1,
}

impl MetaVersion {
    /// The `apiVersion` of the answer.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// How much of the object a table's row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IncludeObject {
    /// Its metadata, as PartialObjectMetadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
    /// Nothing.
    None,
}

/// What the answer is made into. A Status is never made into anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// The object, list or document as it is.
    Object,
    /// Rows of cells.
    Table {
        /// What a row carries beside them.
        include_object: IncludeObject,
        /// Of which version the Table is.
        version: MetaVersion,
    },
    /// The metadata of one object, or of each event's.
    PartialMetadata {
        /// Of which version the PartialObjectMetadata is.
        version: MetaVersion,
    },
    /// The metadata of a list's objects.
    PartialMetadataList {
        /// Of which version the PartialObjectMetadataList is.
        version: MetaVersion,
    },
    /// `apidiscovery.k8s.io/v2` APIGroupDiscoveryList.
    AggregatedDiscovery,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Representation {
    /// Its format.
    pub format: Format,
    /// Its shape.
    pub as_: As,
}

impl Representation {
    /// Chooses the first representation, in the client's order, that can be served.
    pub fn negotiate(
        accept: Option<&str>,
        query: Option<&str>,
        user_agent: Option<&str>,
        expected: Expected,
    ) -> Result<Self, NegotiationError> {
        let query = Query::parse(query)?;
        let choice = choose(accept.unwrap_or_default(), expected)?;
        let as_ = shape(&choice, &query, expected)?;
        let format = match choice.media {
            Media::Yaml if expected == Expected::Watch => {
                let streams = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];
                return Err(NegotiationError::AtLast(NotAcceptable::accepting(&streams)));
            }
            Media::Yaml => Format::Yaml,
            Media::Protobuf => Format::Protobuf,
            Media::Json => Format::Json { pretty: pretty(&choice, &query, user_agent, expected) },
        };
        Ok(Self { format, as_ })
    }

    /// Whether objects are asked for as they are held: themselves, as JSON without white space.
    #[must_use]
    pub fn is_compact(&self) -> bool {
        (self.as_, self.format) == (As::Object, Format::Json { pretty: Pretty::No })
    }

    /// The Content-Type of the answer.
    pub fn content_type(&self) -> &'static str {
        match (self.format, self.as_) {
            (Format::Json { .. }, As::AggregatedDiscovery) => {
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            }
            (Format::Yaml, As::AggregatedDiscovery) => {
                "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            }
            (Format::Json { .. }, _) => "application/json",
            (Format::Yaml, _) => "application/yaml",
            (Format::Protobuf, _) => "application/vnd.kubernetes.protobuf",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    Json,
    Yaml,
    Protobuf,
}

/// In the order in which kube-apiserver's serializers are asked.
const MEDIA: [Media; 3] = [Media::Json, Media::Yaml, Media::Protobuf];

/// What the client wants the answer made into: `as`, `g` and `v`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Conversion<'a> {
    kind: &'a str,
    group: &'a str,
    version: &'a str,
}

impl Conversion<'_> {
    fn meta_version(&self) -> Option<MetaVersion> {
        match (self.group, self.version) {
            ("meta.k8s.io", "v1") => Some(MetaVersion::V1),
            ("meta.k8s.io", "v1beta1") => Some(MetaVersion::V1Beta1),
            _ => None,
        }
    }
}

struct Choice<'a> {
    media: Media,
    conversion: Option<Conversion<'a>>,
    pretty: Pretty,
}

/// Which conversions a round of the negotiation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Resource,
    AggregatedDiscovery,
    PlainDiscovery,
}

fn choose(accept: &str, expected: Expected) -> Result<Choice<'_>, NotAcceptable> {
    if accept.is_empty() {
        return Ok(Choice { media: Media::Json, conversion: None, pretty: Pretty::No });
    }
    let rounds: &[Round] = match expected {
        Expected::Discovery => &[Round::AggregatedDiscovery, Round::PlainDiscovery],
        Expected::PlainDiscovery => &[Round::PlainDiscovery],
        Expected::Object | Expected::List | Expected::Watch => &[Round::Resource],
    };
    let clauses = Clause::parse_all(accept);
    rounds
        .iter()
        .flat_map(|round| clauses.iter().map(move |clause| (round, clause)))
        .flat_map(|(round, clause)| MEDIA.map(|media| (*round, clause, media)))
        // Events are not framed for protobuf.
        .filter(|(_, _, media)| *media != Media::Protobuf || expected != Expected::Watch)
        .find_map(|(round, clause, media)| consider(clause, media, round))
        .ok_or_else(|| NotAcceptable::accepting(&MEDIA_TYPES))
}

/// The choice of one media type for one clause, if its parameters allow it.
fn consider<'a>(clause: &Clause<'a>, media: Media, round: Round) -> Option<Choice<'a>> {
    let sub = match media {
        Media::Json => "json",
        Media::Yaml => "yaml",
        Media::Protobuf => "vnd.kubernetes.protobuf",
    };
    if !clause.accepts("application", sub) {
        return None;
    }
    let mut choice = Choice { media, conversion: None, pretty: Pretty::No };
    for (&name, &value) in &clause.parameters {
        match name {
            "as" => choice.conversion.get_or_insert_default().kind = value,
            "g" => choice.conversion.get_or_insert_default().group = value,
            "v" => choice.conversion.get_or_insert_default().version = value,
            "stream" if media == Media::Yaml || value != "watch" => return None,
            "sv" if round != Round::Resource || value != "v1" => return None,
            "pretty" => choice.pretty = if value == "1" { Pretty::Yes } else { Pretty::No },
            _ => {}
        }
    }
    let possible = media != Media::Protobuf || has_protobuf(choice.conversion, round);
    (possible && allowed(choice.conversion, round)).then_some(choice)
}

/// Whether there is protobuf of it: custom resources and Tables have none, and aggregated discovery has it in
/// kube-apiserver alone.
fn has_protobuf(conversion: Option<Conversion<'_>>, round: Round) -> bool {
    match round {
        Round::Resource => conversion.is_some_and(|to| to.kind.starts_with("PartialObjectMetadata")),
        Round::PlainDiscovery => true,
        Round::AggregatedDiscovery => false,
    }
}

fn allowed(conversion: Option<Conversion<'_>>, round: Round) -> bool {
    match (round, conversion) {
        (Round::Resource | Round::PlainDiscovery, None) => true,
        (Round::Resource, Some(conversion)) => {
            conversion.meta_version().is_some()
                && matches!(conversion.kind, "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList")
        }
        (Round::AggregatedDiscovery, Some(conversion)) => {
            let Conversion { kind, group, version } = conversion;
            (kind, group, version) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2")
        }
        (Round::AggregatedDiscovery, None) | (Round::PlainDiscovery, Some(_)) => false,
    }
}

fn shape(choice: &Choice<'_>, query: &Query<'_>, expected: Expected) -> Result<As, NegotiationError> {
    let Some(conversion) = choice.conversion else { return Ok(As::Object) };
    let Some(version) = conversion.meta_version() else { return Ok(As::AggregatedDiscovery) };
    match (conversion.kind, expected) {
        ("Table", _) => Ok(As::Table { include_object: include_object(query)?, version }),
        ("PartialObjectMetadata", Expected::List) => {
            let message = "you requested PartialObjectMetadata, but the requested object is a list \
                           (*unstructured.UnstructuredList)";
            Err(NegotiationError::AtLast(NotAcceptable { message: message.to_owned() }))
        }
        ("PartialObjectMetadata", _) => Ok(As::PartialMetadata { version }),
        (_, Expected::List) => Ok(As::PartialMetadataList { version }),
        // An event's object is no list; Kubernetes then sends it as it is.
        (_, Expected::Watch) => Ok(As::Object),
        _ => {
            let message = "you requested PartialObjectMetadataList, but the requested object is not a list \
                           (*unstructured.Unstructured)";
            Err(NotAcceptable { message: message.to_owned() }.into())
        }
    }
}

fn include_object(query: &Query<'_>) -> Result<IncludeObject, BadRequest> {
    match query.first("includeObject").unwrap_or_default() {
        "" | "Metadata" => Ok(IncludeObject::Metadata),
        "Object" => Ok(IncludeObject::Object),
        "None" => Ok(IncludeObject::None),
        other => {
            let rule = "must be 'Metadata', 'Object', 'None', or empty";
            let cause = Cause::invalid("includeObject", other, rule);
            Err(BadRequest::new(format!("Unable to convert to Table as requested: {cause}")))
        }
    }
}

/// `;pretty=1`, else `?pretty=`, else whether a person seems to ask. Events stand on one line each.
fn pretty(choice: &Choice<'_>, query: &Query<'_>, user_agent: Option<&str>, expected: Expected) -> Pretty {
    if expected == Expected::Watch {
        return Pretty::No;
    }
    if choice.pretty == Pretty::Yes {
        return Pretty::Yes;
    }
    wants_pretty(query, user_agent)
}

/// Whether an answer is to be read by a person.
pub(super) fn wants_pretty(query: &Query<'_>, user_agent: Option<&str>) -> Pretty {
    let wanted = match query.filled("pretty") {
        // Go's strconv.ParseBool.
        Some(value) => matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True"),
        None => {
            let user_agent = user_agent.unwrap_or_default();
            ["curl", "Wget", "Mozilla/5.0"].iter().any(|person| user_agent.starts_with(person))
        }
    };
    if wanted { Pretty::Yes } else { Pretty::No }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const JSON: Format = Format::Json { pretty: Pretty::No };
    const PROTOBUF: Format = Format::Protobuf;
    const TABLE: As = As::Table { include_object: IncludeObject::Metadata, version: MetaVersion::V1 };
    const PROTOBUF_METADATA: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;\
                                     v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
                                     application/json";
    const KUBECTL: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,\
                           application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
    const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

    fn negotiate(accept: &str, expected: Expected) -> Result<(Format, As), String> {
        Representation::negotiate(Some(accept), None, None, expected)
            .map(|chosen| (chosen.format, chosen.as_))
            .map_err(|refusal| refusal.to_string())
    }

    #[rstest]
    #[case("", Expected::Object, (JSON, As::Object))]
    #[case("*/*", Expected::Object, (JSON, As::Object))]
    #[case("application/*", Expected::List, (JSON, As::Object))]
    #[case("application/yaml", Expected::List, (Format::Yaml, As::Object))]
    #[case("application/json;q=0.5,application/yaml", Expected::Object, (Format::Yaml, As::Object))]
    #[case("application/vnd.kubernetes.protobuf,application/json", Expected::Object, (JSON, As::Object))]
    #[case("application/vnd.kubernetes.protobuf, */*", Expected::Watch, (JSON, As::Object))]
    #[case("application/json;stream=watch", Expected::Watch, (JSON, As::Object))]
    #[case("application/yaml;stream=watch, application/json", Expected::Watch, (JSON, As::Object))]
    #[case(KUBECTL, Expected::List, (JSON, TABLE))]
    #[case(KUBECTL, Expected::Object, (JSON, TABLE))]
    #[case(KUBECTL, Expected::Watch, (JSON, TABLE))]
    #[case("application/yaml;as=Table;v=v1;g=meta.k8s.io", Expected::List, (Format::Yaml, TABLE))]
    #[case("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", Expected::List, (JSON, As::Object))]
    #[case(PROTOBUF_METADATA, Expected::List, (PROTOBUF, As::PartialMetadataList { version: MetaVersion::V1 }))]
    #[case(PROTOBUF_METADATA, Expected::Watch, (JSON, As::Object))]
    #[case("application/vnd.kubernetes.protobuf", Expected::PlainDiscovery, (PROTOBUF, As::Object))]
    #[case("application/vnd.kubernetes.protobuf", Expected::Discovery, (PROTOBUF, As::Object))]
    #[case(
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1beta1",
        Expected::Watch,
        (JSON, As::PartialMetadata { version: MetaVersion::V1Beta1 })
    )]
    #[case(DISCOVERY, Expected::Discovery, (JSON, As::AggregatedDiscovery))]
    #[case("application/json, application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        Expected::Discovery, (JSON, As::AggregatedDiscovery))]
    #[case("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
        Expected::Discovery, (JSON, As::Object))]
    #[case("application/yaml", Expected::Discovery, (Format::Yaml, As::Object))]
    fn the_first_that_can_be_served_is_chosen(
        #[case] accept: &str,
        #[case] expected: Expected,
        #[case] chosen: (Format, As),
    ) {
        assert_eq!(negotiate(accept, expected), Ok(chosen));
    }

    const ONLY: &str = "only the following media types are accepted: application/json, application/yaml, \
                        application/vnd.kubernetes.protobuf";

    #[rstest]
    #[case("application/vnd.kubernetes.protobuf", Expected::Object, ONLY)]
    #[case("application/cbor", Expected::List, ONLY)]
    #[case("text/html", Expected::Discovery, ONLY)]
    #[case(DISCOVERY, Expected::PlainDiscovery, ONLY)]
    #[case("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", Expected::List, ONLY)]
    #[case("application/json;as=Table;v=v9;g=meta.k8s.io", Expected::List, ONLY)]
    #[case(DISCOVERY, Expected::List, ONLY)]
    #[case(
        "application/yaml",
        Expected::Watch,
        "only the following media types are accepted: application/json;stream=watch, \
         application/vnd.kubernetes.protobuf;stream=watch"
    )]
    #[case(
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        Expected::List,
        "you requested PartialObjectMetadata, but the requested object is a list (*unstructured.UnstructuredList)"
    )]
    #[case(
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        Expected::Object,
        "you requested PartialObjectMetadataList, but the requested object is not a list (*unstructured.Unstructured)"
    )]
    fn what_cannot_be_served_is_refused(#[case] accept: &str, #[case] expected: Expected, #[case] message: &str) {
        assert_eq!(negotiate(accept, expected), Err(message.to_owned()));
    }

    #[test]
    fn a_table_says_what_its_rows_carry() {
        let table = |query| Representation::negotiate(Some(KUBECTL), Some(query), None, Expected::List);
        let include = |query| match table(query).unwrap().as_ {
            As::Table { include_object, .. } => include_object,
            other => panic!("{other:?}"),
        };
        assert_eq!(include("includeObject=Object"), IncludeObject::Object);
        assert_eq!(include("includeObject=None"), IncludeObject::None);
        assert_eq!(include("includeObject="), IncludeObject::Metadata);
        let message = "Unable to convert to Table as requested: includeObject: Invalid value: \"x\": must be \
                       'Metadata', 'Object', 'None', or empty";
        let refusal = NegotiationError::BadRequest(BadRequest { message: message.to_owned() });
        assert_eq!(table("includeObject=x"), Err(refusal));
    }

    #[rstest]
    #[case("", None, None, Pretty::No)]
    #[case("", None, Some("kubectl/v1.37"), Pretty::No)]
    #[case("", None, Some("curl/8"), Pretty::Yes)]
    #[case("", None, Some("Wget/1"), Pretty::Yes)]
    #[case("", None, Some("Mozilla/5.0 (X11)"), Pretty::Yes)]
    #[case("", Some("pretty=false"), Some("curl/8"), Pretty::No)]
    #[case("", Some("pretty="), Some("curl/8"), Pretty::Yes)]
    #[case("", Some("pretty=true"), None, Pretty::Yes)]
    #[case("application/json;pretty=1", Some("pretty=0"), None, Pretty::Yes)]
    fn people_get_indented_json(
        #[case] accept: &str,
        #[case] query: Option<&str>,
        #[case] user_agent: Option<&str>,
        #[case] pretty: Pretty,
    ) {
        let chosen = |expected| Representation::negotiate(Some(accept), query, user_agent, expected).unwrap().format;
        assert_eq!(chosen(Expected::Object), Format::Json { pretty });
        assert_eq!(chosen(Expected::Watch), JSON);
    }

    #[test]
    fn the_content_type_names_the_document() {
        let content_type = |accept: &str, expected| {
            Representation::negotiate(Some(accept), None, None, expected).unwrap().content_type()
        };
        assert_eq!(content_type(KUBECTL, Expected::List), "application/json");
        assert_eq!(content_type("application/yaml", Expected::List), "application/yaml");
        assert_eq!(content_type(DISCOVERY, Expected::Discovery), DISCOVERY);
        assert_eq!(MetaVersion::V1Beta1.api_version(), "meta.k8s.io/v1beta1");
    }

    proptest! {
        #[test]
        fn no_header_panics(
            accept in "(application/|json|yaml|\\*|;|,|=|as|q|g|v1|Table|.){0,20}",
            query in ".{0,20}",
        ) {
            for expected in [Expected::Object, Expected::List, Expected::Watch, Expected::Discovery] {
                let _ = Representation::negotiate(Some(&accept), Some(&query), Some(&query), expected);
            }
        }
    }
}
