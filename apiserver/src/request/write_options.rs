//! The options of get, create, update and patch (apimachinery pkg/apis/meta/v1/validation/validation.go).

use super::body::PatchType;
use super::error::aggregate;
use super::error::{Cause, OptionsError, check};
use super::go_text;
use super::query::Query;
use super::resource_version::ResourceVersion;

/// The longest name of a field manager, in bytes.
pub const FIELD_MANAGER_BYTES_MAX: usize = 128;

/// What a get asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GetOptions {
    /// Which state: with a number, that one or a later one.
    pub resource_version: ResourceVersion,
}

impl GetOptions {
    /// Reads the query. The parameter `export` is refused (k8s.io/apiserver/pkg/endpoints/handlers/get.go, GetResource).
    pub fn parse(query: Option<&str>) -> Result<Self, OptionsError> {
        let query = Query::parse(query)?;
        if query.first("export").is_some_and(go_text::is_true) {
            let message = "the export parameter, deprecated since v1.14, is no longer supported";
            return Err(OptionsError::BadRequest(message.to_owned()));
        }
        let resource_version = ResourceVersion::parse(query.first("resourceVersion"))
            .map_err(|cause| OptionsError::Plain(aggregate(&[cause])))?;
        Ok(Self { resource_version })
    }
}

/// Whether a write is only tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DryRun {
    /// The write is done.
    #[default]
    No,
    /// Everything is done but the storing.
    All,
}

impl DryRun {
    /// Reads it from a query, whatever else that says.
    ///
    /// # Errors
    /// When it is neither absent nor `All`, or the query cannot be read.
    pub fn of_query(query: Option<&str>) -> Result<Self, OptionsError> {
        let query = Query::parse(query)?;
        let values: Vec<&str> = query.all("dryRun").collect();
        Self::parse(&values).map_err(|cause| OptionsError::Plain(aggregate(&[cause])))
    }

    /// Reads the values, which may only be `All`; the cause of a refusal otherwise.
    pub(super) fn parse(values: &[&str]) -> Result<Self, Cause> {
        if values.iter().any(|value| *value != "All") {
            return Err(Cause::not_supported("dryRun", &go_text::json_list(values), &["All"]));
        }
        Ok(if values.is_empty() { Self::No } else { Self::All })
    }
}

/// What becomes of unknown and duplicate fields in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// They are dropped in silence.
    Ignore,
    /// They are dropped with a warning.
    #[default]
    Warn,
    /// The write is refused.
    Strict,
}

/// Whether an apply takes fields from their managers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Force {
    /// A conflict is an error.
    #[default]
    No,
    /// Conflicting fields change their manager.
    Yes,
}

/// What a create, an update or a patch asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteOptions {
    /// Whether it is only tried.
    pub dry_run: DryRun,
    /// Who writes; absent means that the User-Agent says. Always present for an apply.
    pub field_manager: Option<String>,
    /// What becomes of unknown fields.
    pub field_validation: FieldValidation,
    /// Whether an apply takes fields from others; never `Yes` otherwise.
    pub force: Force,
}

impl WriteOptions {
    /// The options of a create.
    pub fn for_create(query: Option<&str>) -> Result<Self, OptionsError> {
        Self::parse("CreateOptions", &Query::parse(query)?, Vec::new())
    }

    /// The options of an update.
    pub fn for_update(query: Option<&str>) -> Result<Self, OptionsError> {
        Self::parse("UpdateOptions", &Query::parse(query)?, Vec::new())
    }

    /// The options of a patch.
    pub fn for_patch(query: Option<&str>, patch_type: PatchType) -> Result<Self, OptionsError> {
        let query = Query::parse(query)?;
        let force = query.first("force").map(go_text::is_true);
        let mut causes = Vec::new();
        match patch_type {
            PatchType::Apply if query.filled("fieldManager").is_none() => {
                causes.push(Cause::required("fieldManager", "is required for apply patch"));
            }
            PatchType::Json | PatchType::Merge | PatchType::Strategic if force.is_some() => {
                causes.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
            }
            _ => {}
        }
        let mut options = Self::parse("PatchOptions", &query, causes)?;
        if force == Some(true) {
            options.force = Force::Yes;
        }
        Ok(options)
    }

    fn parse(kind: &'static str, query: &Query<'_>, mut causes: Vec<Cause>) -> Result<Self, OptionsError> {
        let mut options = Self { field_manager: query.filled("fieldManager").map(str::to_owned), ..Self::default() };
        causes.extend(options.field_manager.iter().flat_map(|manager| manager_causes(manager)));
        match DryRun::parse(&query.all("dryRun").collect::<Vec<_>>()) {
            Ok(dry_run) => options.dry_run = dry_run,
            Err(cause) => causes.push(cause),
        }
        match query.first("fieldValidation").unwrap_or_default() {
            "" | "Warn" => options.field_validation = FieldValidation::Warn,
            "Ignore" => options.field_validation = FieldValidation::Ignore,
            "Strict" => options.field_validation = FieldValidation::Strict,
            other => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                causes.push(Cause::not_supported("fieldValidation", &go_text::quote(other), &supported));
            }
        }
        check(kind, causes)?;
        Ok(options)
    }
}

fn manager_causes(manager: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if manager.len() > FIELD_MANAGER_BYTES_MAX {
        causes.push(Cause::too_long("fieldManager", FIELD_MANAGER_BYTES_MAX));
        // The name is refused; what else is wrong with so much text is not listed.
        return causes;
    }
    for (position, character) in manager.char_indices().filter(|(_, character)| !go_text::is_printable(*character)) {
        let character = go_text::unicode(character);
        let detail = format!("invalid character {character} (at position {position})");
        causes.push(Cause::invalid("fieldManager", manager, &detail));
    }
    causes
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn messages(refusal: &OptionsError) -> Vec<String> {
        match refusal {
            OptionsError::Invalid(invalid) => invalid.causes.iter().map(ToString::to_string).collect(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn without_parameters_a_write_is_done_and_warns() {
        assert_eq!(WriteOptions::for_create(None), Ok(WriteOptions::default()));
        assert_eq!(WriteOptions::default().field_validation, FieldValidation::Warn);
    }

    #[test]
    fn parameters_are_read() {
        let query = Some("dryRun=All&dryRun=All&fieldManager=k%20l&fieldValidation=Strict&force=true&pretty=1");
        let expected = WriteOptions {
            dry_run: DryRun::All,
            field_manager: Some("k l".to_owned()),
            field_validation: FieldValidation::Strict,
            force: Force::Yes,
        };
        assert_eq!(WriteOptions::for_patch(query, PatchType::Apply), Ok(expected.clone()));
        assert_eq!(WriteOptions::for_update(query), Ok(WriteOptions { force: Force::No, ..expected }));
    }

    #[rstest]
    #[case("dryRun=x", "dryRun: Unsupported value: [\"x\"]: supported values: \"All\"")]
    #[case("dryRun=", "dryRun: Unsupported value: [\"\"]: supported values: \"All\"")]
    #[case(
        "fieldValidation=x",
        "fieldValidation: Unsupported value: \"x\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""
    )]
    #[case("fieldManager=a%09b", "fieldManager: Invalid value: \"a\\tb\": invalid character U+0009 (at position 1)")]
    fn violations_have_the_texts_of_kubernetes(#[case] query: &str, #[case] message: &str) {
        assert_eq!(messages(&WriteOptions::for_create(Some(query)).unwrap_err()), [message]);
    }

    #[test]
    fn a_field_manager_has_a_longest_name() {
        let query = |length| format!("fieldManager={}", "a".repeat(length));
        assert!(WriteOptions::for_update(Some(&query(128))).is_ok());
        let refusal = WriteOptions::for_update(Some(&query(129))).unwrap_err();
        assert_eq!(messages(&refusal), ["fieldManager: Too long: may not be more than 128 bytes"]);
    }

    #[test]
    fn an_apply_names_its_manager_and_only_an_apply_forces() {
        let refusal = WriteOptions::for_patch(Some("force=1"), PatchType::Apply).unwrap_err();
        assert_eq!(messages(&refusal), ["fieldManager: Required value: is required for apply patch"]);
        let refusal = WriteOptions::for_patch(Some("force=false"), PatchType::Merge).unwrap_err();
        assert_eq!(messages(&refusal), ["force: Forbidden: may not be specified for non-apply patch"]);
        assert_eq!(
            refusal.to_string(),
            "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"
        );
    }

    #[test]
    fn several_causes_stand_in_brackets() {
        let refusal = WriteOptions::for_create(Some("dryRun=x&fieldValidation=y")).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "CreateOptions.meta.k8s.io \"\" is invalid: [dryRun: Unsupported value: [\"x\"]: supported values: \
             \"All\", fieldValidation: Unsupported value: \"y\": supported values: \"\", \"Ignore\", \"Strict\", \
             \"Warn\"]"
        );
    }

    #[test]
    fn a_get_asks_for_a_state() {
        let version = |query| GetOptions::parse(query).map(|options| options.resource_version);
        assert_eq!(version(None), Ok(ResourceVersion::Unset));
        assert_eq!(version(Some("resourceVersion=0")), Ok(ResourceVersion::Any));
        assert_eq!(version(Some("resourceVersion=5")), Ok(ResourceVersion::At(5)));
        assert_eq!(
            version(Some("resourceVersion=x")).unwrap_err().to_string(),
            "resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid syntax"
        );
    }
}
