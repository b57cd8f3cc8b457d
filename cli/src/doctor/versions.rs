//! Whether both processes and this program are of one version.

use k8s_openapi::api::apps::v1::Deployment;

use super::{
    answers::Installation,
    finding::{Finding, Topic},
};

/// The version of this program.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// Judges the images of both Deployments; says nothing where one cannot be seen, as that is said already.
pub(super) fn judge(installation: &Installation) -> Vec<Finding> {
    match (installation.operator.as_ref().ok().and_then(image), installation.apiserver.as_ref().ok().and_then(image)) {
        (Some(operator), Some(apiserver)) => images(operator, apiserver),
        _ => Vec::new(),
    }
}

fn image(deployment: &Deployment) -> Option<&str> {
    let pod = deployment.spec.template.spec.as_ref()?;
    pod.containers.first()?.image.as_deref()
}

/// The tag of an image; none where it is named by digest alone.
fn tag(image: &str) -> Option<&str> {
    let name = image.split('@').next()?;
    // A registry may have a port.
    let (_, tag) = name.rsplit('/').next()?.split_once(':')?;
    Some(tag)
}

fn images(operator: &str, apiserver: &str) -> Vec<Finding> {
    if operator != apiserver {
        let found = format!("the operator runs {operator} and the apiserver {apiserver}");
        return vec![Finding::warning(
            Topic::Versions,
            found,
            "give both one image: helm upgrade, or kubectl set image",
        )];
    }
    let mut findings = Vec::new();
    match tag(operator).map(|tag| tag.trim_start_matches('v')) {
        Some(tag) if tag != OWN && tag.starts_with(|first: char| first.is_ascii_digit()) => {
            let found = format!("the cluster runs {operator}, and this program is {OWN}");
            findings.push(Finding::warning(Topic::Versions, found, format!("use the program of version {tag}")));
        }
        _ => findings.push(Finding::well(Topic::Versions, format!("both processes run {operator}"))),
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[test]
    fn a_tag_is_what_stands_behind_the_name() {
        assert_eq!(tag("kindsmith:0.1.0"), Some("0.1.0"));
        assert_eq!(tag("registry:5000/a/kindsmith:v2@sha256:ab"), Some("v2"));
        assert_eq!(tag("registry:5000/a/kindsmith"), None);
        assert_eq!(tag("kindsmith@sha256:ab"), None);
    }

    #[test]
    fn versions_that_differ_are_warned_of() {
        let level = |operator: &str, apiserver: &str| images(operator, apiserver)[0].level;
        let own = format!("kindsmith:{OWN}");
        assert_eq!(level(&own, &own), Level::Well);
        assert_eq!(level("kindsmith@sha256:ab", "kindsmith@sha256:ab"), Level::Well);
        assert_eq!(level("kindsmith:main", "kindsmith:main"), Level::Well, "it says no version");
        assert_eq!(level(&own, "kindsmith:9.9.9"), Level::Warning);
        assert_eq!(level("kindsmith:9.9.9", "kindsmith:9.9.9"), Level::Warning);
    }
}
