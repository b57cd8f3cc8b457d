//! Kubernetes, its aggregation layer, and Flux.

use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::ConfigMap},
    apimachinery::pkg::{
        apis::meta::v1::{APIGroup, APIGroupList},
        version::Info,
    },
};
use kube::ResourceExt as _;

use super::{
    answers::{Answer, Surroundings},
    finding::{Finding, Topic},
};
use crate::cluster::Unanswered;

/// The oldest Kubernetes that the chart installs on.
const KUBERNETES_MIN: (u32, u32) = (1, 30);

/// The group of releases, and the version that is used.
const FLUX_GROUP: &str = "helm.toolkit.fluxcd.io";
const FLUX_VERSION: &str = "v2";

/// Where Kubernetes says how the aggregation layer is set up.
const AGGREGATION_DOCUMENT: &str = "https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/";

/// Judges all three.
pub(super) fn judge(version: &Info, surroundings: &Surroundings) -> Vec<Finding> {
    let mut findings = vec![kubernetes(version), authentication(&surroundings.authentication)];
    findings.extend(aggregator(&surroundings.groups));
    findings.push(releases(&surroundings.groups, &surroundings.flux_version));
    findings.push(helm_controller(&surroundings.helm_controllers));
    findings
}

fn kubernetes(version: &Info) -> Finding {
    let number = |text: &str| -> Option<u32> {
        // Some say `30+`.
        text.trim_end_matches(|letter: char| !letter.is_ascii_digit()).parse().ok()
    };
    let (major, minor) = KUBERNETES_MIN;
    let told = &version.git_version;
    match (number(&version.major), number(&version.minor)) {
        (Some(has), Some(of)) if (has, of) < KUBERNETES_MIN => Finding::warning(
            Topic::Kubernetes,
            format!("Kubernetes {told} is older than {major}.{minor}, the oldest that the chart installs on"),
            format!("upgrade Kubernetes to {major}.{minor} or later"),
        ),
        _ => Finding::well(Topic::Kubernetes, format!("Kubernetes {told}")),
    }
}

/// Whether kube-apiserver tells extension API servers how it says who asks
/// (k8s.io/apiserver/pkg/authentication/request/headerrequest/requestheader_controller.go).
fn authentication(answer: &Answer<ConfigMap>) -> Finding {
    const NAME: &str = "ConfigMap kube-system/extension-apiserver-authentication";
    let set_up = format!(
        "start kube-apiserver with --requestheader-client-ca-file, --requestheader-username-headers, --proxy-client-cert-file \
         and what belongs to them: {AGGREGATION_DOCUMENT}"
    );
    let map = match answer {
        Ok(map) => map,
        Err(Unanswered::Missing) => {
            return Finding::broken(Topic::AggregationLayer, format!("{NAME} is missing"), set_up);
        }
        Err(why) => {
            let needs = "get on configmaps extension-apiserver-authentication in kube-system";
            return Finding::unanswered(Topic::AggregationLayer, NAME, needs, why);
        }
    };
    let data = map.data.clone().unwrap_or_default();
    let is_empty = |key: &str| data.get(key).is_none_or(|value| matches!(value.trim(), "" | "[]" | "null"));
    let missing: Vec<&str> = ["requestheader-client-ca-file", "requestheader-username-headers"]
        .into_iter()
        .filter(|key| is_empty(key))
        .collect();
    if missing.is_empty() {
        Finding::well(Topic::AggregationLayer, "kube-apiserver is set up for extension API servers")
    } else {
        Finding::broken(Topic::AggregationLayer, format!("{NAME} has no {}", missing.join(" and no ")), set_up)
    }
}

/// Whether kube-aggregator is part of this kube-apiserver. That it is needs no line.
fn aggregator(groups: &Answer<APIGroupList>) -> Option<Finding> {
    let groups = groups.as_ref().ok()?;
    let has = groups.groups.iter().any(|group| group.name == "apiregistration.k8s.io");
    (!has).then(|| {
        Finding::broken(
            Topic::AggregationLayer,
            "this API server does not serve apiregistration.k8s.io, so it has no aggregation layer",
            "ask the kube-apiserver of the cluster itself, and not an API server beside it",
        )
    })
}

/// Whether releases are served.
fn releases(groups: &Answer<APIGroupList>, version: &Answer<Option<String>>) -> Finding {
    let install = "flux install --components=source-controller,helm-controller";
    let groups = match groups {
        Ok(groups) => groups,
        Err(why) => return Finding::unanswered(Topic::Flux, "HelmReleases", "get on /apis", why),
    };
    let Some(group) = groups.groups.iter().find(|group| group.name == FLUX_GROUP) else {
        let found = format!("Flux is missing: {FLUX_GROUP} is not served, so no instance can be read or written");
        return Finding::broken(Topic::Flux, found, install);
    };
    let versions = |group: &APIGroup| group.versions.iter().map(|it| it.version.clone()).collect::<Vec<_>>();
    if !versions(group).iter().any(|served| served == FLUX_VERSION) {
        let found = format!("Flux serves HelmReleases as {} and not as {FLUX_VERSION}", versions(group).join(", "));
        return Finding::broken(Topic::Flux, found, format!("upgrade Flux to 2.3 or later: {install}"));
    }
    let version = match version {
        Ok(Some(version)) => format!(", Flux {version}"),
        _ => String::new(),
    };
    Finding::well(Topic::Flux, format!("HelmReleases are served as {FLUX_GROUP}/{FLUX_VERSION}{version}"))
}

/// Whether somebody installs them.
fn helm_controller(answer: &Answer<Vec<Deployment>>) -> Finding {
    let found = match answer {
        Ok(found) => found,
        Err(why) => {
            return Finding::unanswered(Topic::Flux, "helm-controller", "list on deployments of all namespaces", why);
        }
    };
    let Some(first) = found.first() else {
        return Finding::warning(
            Topic::Flux,
            "no Deployment has the label app.kubernetes.io/component=helm-controller: perhaps nothing installs releases",
            "flux check",
        );
    };
    let name = format!("{}/{}", first.namespace().unwrap_or_default(), first.name_any());
    let available = |it: &Deployment| it.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0) > 0;
    if found.iter().any(available) {
        Finding::well(Topic::Flux, format!("helm-controller runs: Deployment {name}"))
    } else {
        Finding::warning(
            Topic::Flux,
            format!("helm-controller has no available replica: Deployment {name}; releases are kept and not installed"),
            format!("kubectl -n {} describe deployment {}", first.namespace().unwrap_or_default(), first.name_any()),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::finding::Level, *};

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn version(minor: &str) -> Info {
        let told = format!("v1.{minor}.0");
        read(json!({"major": "1", "minor": minor, "gitVersion": told, "buildDate": "", "compiler": "", "gitCommit": "",
            "gitTreeState": "", "goVersion": "", "platform": ""}))
    }

    fn groups(versions: &[&str]) -> Answer<APIGroupList> {
        let flux: Vec<Value> =
            versions.iter().map(|it| json!({"version": it, "groupVersion": format!("{FLUX_GROUP}/{it}")})).collect();
        let mut groups = vec![json!({"name": "apiregistration.k8s.io", "versions": []})];
        if !flux.is_empty() {
            groups.push(json!({"name": FLUX_GROUP, "versions": flux}));
        }
        Ok(read(json!({"groups": groups})))
    }

    #[test]
    fn an_old_kubernetes_is_warned_of() {
        assert_eq!(kubernetes(&version("37")).level, Level::Well);
        assert_eq!(kubernetes(&version("30+")).level, Level::Well);
        let old = kubernetes(&version("29"));
        assert_eq!((old.level, old.found.contains("v1.29.0")), (Level::Warning, true));
    }

    #[test]
    fn an_aggregation_layer_that_is_not_set_up_is_told_with_its_flags() {
        let map = |data: Value| Ok(read(json!({"data": data})));
        let whole =
            json!({"requestheader-client-ca-file": "PEM", "requestheader-username-headers": "[\"X-Remote-User\"]"});
        assert_eq!(authentication(&map(whole)).level, Level::Well);
        let part = authentication(&map(json!({"requestheader-username-headers": "[]"})));
        assert_eq!(part.level, Level::Broken);
        assert!(part.found.contains("no requestheader-client-ca-file and no requestheader-username-headers"));
        assert!(part.remedy.unwrap().contains("--requestheader-client-ca-file"));
        assert_eq!(authentication(&Err(Unanswered::Missing)).level, Level::Broken);
        let forbidden = authentication(&Err(Unanswered::Forbidden("no".to_owned())));
        assert_eq!((forbidden.level, forbidden.remedy), (Level::Unchecked, None));
        assert!(forbidden.found.contains("needs get on configmaps"), "{}", forbidden.found);
        assert_eq!(aggregator(&Ok(read(json!({"groups": []})))).unwrap().level, Level::Broken);
        assert_eq!(aggregator(&groups(&[])), None);
    }

    #[test]
    fn flux_is_there_or_how_to_install_it_is_told() {
        let told = Ok(Some("v2.7.0".to_owned()));
        let well = releases(&groups(&["v2", "v2beta2"]), &told);
        assert_eq!((well.level, well.found.ends_with("Flux v2.7.0")), (Level::Well, true));
        let old = releases(&groups(&["v2beta2"]), &told);
        assert_eq!((old.level, old.found.contains("v2beta2")), (Level::Broken, true));
        let missing = releases(&groups(&[]), &Err(Unanswered::Missing));
        assert_eq!(missing.level, Level::Broken);
        assert!(missing.remedy.unwrap().starts_with("flux install"));
    }

    #[test]
    fn helm_controller_is_looked_for_wherever_it_is() {
        let one = |available: i32| {
            let metadata = json!({"name": "helm-controller", "namespace": "flux-system"});
            Ok(vec![read(json!({"metadata": metadata, "status": {"availableReplicas": available}}))])
        };
        assert_eq!(helm_controller(&one(1)).level, Level::Well);
        assert_eq!(helm_controller(&one(0)).level, Level::Warning);
        assert_eq!(helm_controller(&Ok(Vec::new())).level, Level::Warning);
        assert_eq!(helm_controller(&Err(Unanswered::Forbidden(String::new()))).level, Level::Unchecked);
    }
}
