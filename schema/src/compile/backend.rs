//! The backend of a definition: where its instances are.

use std::sync::LazyLock;

use kindsmith_crds::{ApplicationDefinition, Backend, HelmReleaseBackend, Scope};
use regex::Regex;
use serde_json::json;

use super::names::is;
use crate::{
    convert::release::{RELEASE_NAME_BYTES_MAX, ReleaseTemplate},
    field::{FieldError, FieldPath},
    kind::{KindBackend, KindNames},
};

static RELEASE_PREFIX: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-z0-9][-a-z0-9]*$").ok());

pub(super) fn backend(
    definition: &ApplicationDefinition,
    names: &KindNames,
    storage: Option<&str>,
    at: &FieldPath,
    errors: &mut Vec<FieldError>,
) -> Option<KindBackend> {
    let Backend { helm_release, store } = &definition.spec.backend;
    match (helm_release, store) {
        (Some(settings), None) => {
            let at = at.child("helmRelease");
            check_release(settings, definition.spec.scope, &at, errors);
            Some(KindBackend::Release(Box::new(ReleaseTemplate {
                group: definition.spec.group.clone(),
                version: storage.unwrap_or_default().to_owned(),
                kind: names.kind.clone(),
                settings: settings.clone(),
            })))
        }
        (None, Some(_)) => Some(KindBackend::Stored),
        (None, None) => {
            errors.push(FieldError::required(at, "exactly one of helmRelease and store must be set"));
            None
        }
        (Some(_), Some(_)) => {
            errors.push(FieldError::forbidden(at, "exactly one of helmRelease and store must be set"));
            None
        }
    }
}

fn check_release(settings: &HelmReleaseBackend, scope: Scope, at: &FieldPath, errors: &mut Vec<FieldError>) {
    if scope == Scope::Cluster {
        errors.push(FieldError::forbidden(at, "a HelmRelease lives in a namespace: spec.scope must be Namespaced"));
    }
    match (&settings.chart_ref, &settings.chart) {
        (None, None) => errors.push(FieldError::required(at, "exactly one of chartRef and chart must be set")),
        (Some(_), Some(_)) => errors.push(FieldError::forbidden(at, "exactly one of chartRef and chart must be set")),
        _ => {}
    }
    let prefix = &settings.prefix;
    if !prefix.is_empty() && !is(&RELEASE_PREFIX, prefix) {
        errors.push(FieldError::invalid(
            &at.child("prefix"),
            &json!(prefix),
            "must consist of lower case alphanumeric characters or '-', and start with an alphanumeric character",
        ));
    }
    if prefix.len() >= RELEASE_NAME_BYTES_MAX {
        errors.push(FieldError::invalid(
            &at.child("prefix"),
            &json!(prefix),
            &format!("leaves no room for a name: Helm allows {RELEASE_NAME_BYTES_MAX} characters with the prefix"),
        ));
    }
}
