//! What Helm calls the release of a HelmRelease, and the namespace into which the chart is installed.
//!
//! Sources: fluxcd/helm-controller api/v2/helmrelease_types.go (`GetReleaseName`, `GetReleaseNamespace`),
//! internal/release/name.go (`ShortenName`).

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::RELEASE_NAME_BYTES_MAX;

/// How many characters of its hash stand behind a name that is shortened.
const HASH_CHARS: usize = 12;

/// What Helm calls the release.
#[must_use]
pub fn helm_release_name(release: &Value) -> String {
    let name = text(release, "/metadata/name");
    let composed = match (text(release, "/spec/releaseName"), text(release, "/spec/targetNamespace")) {
        ("", "") => name.to_owned(),
        ("", namespace) => format!("{namespace}-{name}"),
        (chosen, _) => chosen.to_owned(),
    };
    shortened(composed)
}

/// The namespace into which the chart is installed.
#[must_use]
pub fn target_namespace(release: &Value) -> &str {
    match text(release, "/spec/targetNamespace") {
        "" => text(release, "/metadata/namespace"),
        target => target,
    }
}

fn text<'r>(release: &'r Value, pointer: &str) -> &'r str {
    release.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn shortened(name: String) -> String {
    if name.len() <= RELEASE_NAME_BYTES_MAX {
        return name;
    }
    let hash: String = Sha256::digest(&name).iter().map(|byte| format!("{byte:02x}")).collect();
    let kept: String = name.chars().take(RELEASE_NAME_BYTES_MAX - HASH_CHARS - 1).collect();
    format!("{kept}-{}", hash.get(..HASH_CHARS).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_release_is_called_and_placed_as_flux_does_it() {
        let of = |spec: Value| {
            let release = json!({"metadata": {"name": "a-tn-one", "namespace": "team-a"}, "spec": spec});
            (helm_release_name(&release), target_namespace(&release).to_owned())
        };
        let is = |name: &str, namespace: &str| (name.to_owned(), namespace.to_owned());
        assert_eq!(of(json!({})), is("a-tn-one", "team-a"));
        assert_eq!(of(json!({"targetNamespace": "apps-team"})), is("apps-team-a-tn-one", "apps-team"));
        assert_eq!(of(json!({"targetNamespace": "apps", "releaseName": "mine"})), is("mine", "apps"));
        // The cases of Flux' own test of ShortenName.
        for (chosen, called) in [
            (
                "release-name-with-very-long-name-which-is-longer-than-53-characters",
                "release-name-with-very-long-name-which-i-788ca0d0d7b0",
            ),
            (
                "another-release-name-with-very-long-name-which-is-longer-than-53-characters",
                "another-release-name-with-very-long-name-7e72150d5a36",
            ),
        ] {
            assert_eq!(of(json!({"releaseName": chosen})).0, called);
        }
    }
}
