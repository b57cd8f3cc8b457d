//! What clients find of our kinds through kube-apiserver.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use kube::api::DynamicObject;
use serde_json::Value;

use super::{
    answers::{Answer, Asker},
    definitions::is_served,
    finding::{Finding, Topic},
};

/// How many group-versions are asked for.
const GROUP_VERSIONS_MAX: usize = 200;

/// How many at a time.
const AT_ONCE: usize = 8;

/// The resources that are to be in each group-version.
type Wanted = BTreeMap<String, BTreeSet<String>>;

/// Asks for the group-versions of all definitions that are said to be served, and judges the answers.
pub(super) async fn check(asker: &Asker, definitions: &Answer<Vec<DynamicObject>>) -> Vec<Finding> {
    let Ok(definitions) = definitions else { return Vec::new() };
    let wanted = wanted(definitions);
    let asked = wanted.keys().take(GROUP_VERSIONS_MAX).map(|group_version| async move {
        (group_version.clone(), asker.get(&format!("/apis/{group_version}")).await)
    });
    let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    judge(&wanted, &answers)
}

fn wanted(definitions: &[DynamicObject]) -> Wanted {
    let mut wanted = Wanted::new();
    for definition in definitions.iter().filter(|it| is_served(it)) {
        let text = |path: &str| definition.data.pointer(path).and_then(Value::as_str);
        let (Some(group), Some(plural)) = (text("/spec/group"), text("/spec/names/plural")) else { continue };
        let versions = definition.data.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
        for version in versions.filter(|it| it["served"] == true).filter_map(|it| it["name"].as_str()) {
            wanted.entry(format!("{group}/{version}")).or_default().insert(plural.to_owned());
        }
    }
    wanted
}

fn judge(wanted: &Wanted, answers: &[(String, Answer<Value>)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (group_version, answer) in answers {
        let look = format!("kubectl get --raw /apis/{group_version}");
        match answer {
            Err(why) => {
                let found = format!("{group_version} does not answer through kube-apiserver: {why}");
                findings.push(Finding::broken(Topic::Discovery, found, look));
            }
            Ok(document) => {
                let there: BTreeSet<&str> = document["resources"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|it| it["name"].as_str())
                    .collect();
                let missing: Vec<&str> = wanted
                    .get(group_version)
                    .into_iter()
                    .flatten()
                    .map(String::as_str)
                    .filter(|it| !there.contains(it))
                    .collect();
                if !missing.is_empty() {
                    let found =
                        format!("{group_version} has no {}, although they are said to be served", missing.join(", "));
                    findings.push(Finding::broken(Topic::Discovery, found, look));
                }
            }
        }
    }
    if findings.is_empty() && !answers.is_empty() {
        let count = answers.len();
        let told = if count == 1 {
            "the group-version of our kinds answers".to_owned()
        } else {
            format!("all {count} group-versions of our kinds answer")
        };
        findings.push(Finding::well(Topic::Discovery, format!("{told} through kube-apiserver")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::finding::Level, *};
    use crate::cluster::Unanswered;

    #[test]
    fn each_version_that_is_served_is_to_be_found() {
        let definition = |served: &str| -> DynamicObject {
            let versions = json!([{"name": "v1", "served": true}, {"name": "v2", "served": false}]);
            serde_json::from_value(
                json!({"spec": {"group": "a.b", "names": {"plural": "redises"}, "versions": versions},
                "status": {"conditions": [{"type": "Served", "status": served}]}}),
            )
            .unwrap()
        };
        assert_eq!(wanted(&[definition("False")]), Wanted::new());
        let wanted = wanted(&[definition("True")]);
        let judged = |answer: Answer<Value>| judge(&wanted, &[("a.b/v1".to_owned(), answer)]);
        let well = judged(Ok(json!({"resources": [{"name": "redises"}, {"name": "redises/status"}]})));
        assert_eq!((well.len(), well[0].level), (1, Level::Well));
        let missing = judged(Ok(json!({"resources": []})));
        assert_eq!((missing[0].level, missing[0].found.contains("a.b/v1 has no redises")), (Level::Broken, true));
        let dead = judged(Err(Unanswered::Refused("service unavailable".to_owned())));
        assert_eq!(dead[0].found, "a.b/v1 does not answer through kube-apiserver: service unavailable");
        assert_eq!(judge(&wanted, &[]), []);
    }
}
