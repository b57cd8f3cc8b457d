//! Whether accounts may do what the manifests grant them, and whether a person may install.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SubjectAccessReview, SubjectAccessReviewStatus};
use kube::{
    Api,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, json};

use super::{
    answers::{Answer, Asker},
    definitions::is_served,
    finding::{Finding, Topic},
};
use crate::cluster::Unanswered;

/// Which rights the manifests grant; pure.
mod granted;

use granted::{Right, installed, of_manifests};

/// How many reviews are asked for at a time.
const AT_ONCE: usize = 16;

/// How many rights are named in a line.
const NAMED_MAX: usize = 8;

/// Of how many kinds the right to list instances is asked for.
const KINDS_MAX: usize = 100;

/// The operator's account.
const OPERATOR: &str = "kindsmith-operator";

/// What is asked of one account.
struct Judged {
    account: String,
    rights: Vec<Right>,
    answers: Vec<Answer<bool>>,
}

/// Asks for each right of both accounts, and judges the answers.
pub(super) async fn of_accounts(asker: &Asker, definitions: &Answer<Vec<DynamicObject>>) -> Vec<Finding> {
    let mut rights = of_manifests(&asker.namespace);
    rights.entry(OPERATOR.to_owned()).or_default().extend(instances(definitions));
    let mut findings = Vec::new();
    for (account, rights) in rights {
        let asked = rights.iter().map(|right| of_account(asker, &account, right));
        let answers = stream::iter(asked).buffered(AT_ONCE).collect().await;
        findings.extend(Judged { account, rights, answers }.findings());
    }
    findings
}

/// The right of the operator to read instances, which a controller of Kubernetes fills into a role.
fn instances(definitions: &Answer<Vec<DynamicObject>>) -> Vec<Right> {
    let served = definitions.as_ref().map(Vec::as_slice).unwrap_or_default().iter().filter(|it| is_served(it));
    let text = |it: &DynamicObject, path: &str| it.data.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let rights = served
        .filter_map(|it| Some(Right::of_resource("list", &text(it, "/spec/group")?, &text(it, "/spec/names/plural")?)));
    rights.take(KINDS_MAX).collect()
}

async fn of_account(asker: &Asker, account: &str, right: &Right) -> Answer<bool> {
    let namespace = &asker.namespace;
    let mut spec = right.attributes();
    spec["user"] = format!("system:serviceaccount:{namespace}:{account}").into();
    let groups = [
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated".to_owned(),
    ];
    spec["groups"] = json!(groups);
    let review: SubjectAccessReview = review(&spec)?;
    let reviews = Api::<SubjectAccessReview>::all(asker.client.clone());
    let answer = asker.ask(reviews.create(&PostParams::default(), &review)).await?;
    Ok(is_allowed(answer.status.as_ref()))
}

async fn of_self(asker: &Asker, right: &Right) -> Answer<bool> {
    let review: SelfSubjectAccessReview = review(&right.attributes())?;
    let reviews = Api::<SelfSubjectAccessReview>::all(asker.client.clone());
    let answer = asker.ask(reviews.create(&PostParams::default(), &review)).await?;
    Ok(is_allowed(answer.status.as_ref()))
}

fn review<T: serde::de::DeserializeOwned>(spec: &Value) -> Answer<T> {
    serde_json::from_value(json!({"metadata": {}, "spec": spec}))
        .map_err(|error| Unanswered::Refused(error.to_string()))
}

fn is_allowed(status: Option<&SubjectAccessReviewStatus>) -> bool {
    status.is_some_and(|status| status.allowed)
}

impl Judged {
    /// What could not be asked, and what is not granted.
    fn findings(self) -> Vec<Finding> {
        let Self { account, rights, answers } = self;
        let mut findings = Vec::new();
        if let Some(why) = answers.iter().find_map(|answer| answer.as_ref().err()) {
            let needs = "create on subjectaccessreviews.authorization.k8s.io";
            findings.push(Finding::unanswered(Topic::Rights, &format!("rights of {account}"), needs, why));
            if matches!(why, Unanswered::Forbidden(_)) {
                return findings;
            }
        }
        let missing = missing(&rights, &answers);
        if !missing.is_empty() {
            findings.push(Finding::broken(
                Topic::Rights,
                format!("{account} may not {}", named(&missing)),
                "apply its roles again: helm upgrade, or kubectl apply --server-side -f deploy/manifests/; those of instances are \
                 filled in by kube-controller-manager",
            ));
        }
        if findings.is_empty() {
            findings.push(Finding::well(
                Topic::Rights,
                format!("{account} may do all {} things that it is to do", rights.len()),
            ));
        }
        findings
    }
}

fn missing<'a>(rights: &'a [Right], answers: &[Answer<bool>]) -> Vec<&'a Right> {
    rights.iter().zip(answers).filter(|(_, answer)| matches!(answer, Ok(false))).map(|(right, _)| right).collect()
}

/// `patch applicationdefinitions.kindsmith.dev; get, list secrets in system`.
fn named(rights: &[&Right]) -> String {
    let mut verbs = BTreeMap::<String, BTreeSet<&str>>::new();
    for right in rights {
        verbs.entry(right.object()).or_default().insert(right.verb.as_str());
    }
    let told = verbs.iter().map(|(object, verbs)| {
        let verbs: Vec<&str> = verbs.iter().copied().collect();
        format!("{} {object}", verbs.join(", "))
    });
    let more = verbs.len().saturating_sub(NAMED_MAX);
    let told: Vec<String> = told.take(NAMED_MAX).collect();
    if more == 0 { told.join("; ") } else { format!("{}; and {more} more", told.join("; ")) }
}

/// Asks whether a person may install, and judges the answers.
pub(super) async fn to_install(asker: &Asker) -> Vec<Finding> {
    let objects = installed(&asker.namespace);
    let ask = async |rights: &[Right]| -> Vec<Answer<bool>> {
        let asked = rights.iter().map(|right| of_self(asker, right));
        stream::iter(asked).buffered(AT_ONCE).collect().await
    };
    let answers = ask(&objects).await;
    let mut findings = vec![may_create(&objects, &answers)];
    // Who writes or binds a role must hold what it grants, or may escalate and bind.
    let shortcut: Vec<Right> = ["escalate", "bind"]
        .into_iter()
        .flat_map(|verb| {
            ["clusterroles", "roles"].map(|role| Right::of_resource(verb, "rbac.authorization.k8s.io", role))
        })
        .collect();
    let all_granted = |answers: &[Answer<bool>]| answers.iter().all(|answer| matches!(answer, Ok(true)));
    let held: Vec<Right> = of_manifests(&asker.namespace).into_values().flatten().collect();
    let answers = if all_granted(&ask(&shortcut).await) { Vec::new() } else { ask(&held).await };
    findings.push(may_grant(&held, &answers));
    findings
}

fn may_create(rights: &[Right], answers: &[Answer<bool>]) -> Finding {
    if let Some(why) = answers.iter().find_map(|answer| answer.as_ref().err()) {
        let needs = "create on selfsubjectaccessreviews.authorization.k8s.io";
        return Finding::unanswered(Topic::Rights, "your rights", needs, why);
    }
    let missing = missing(rights, answers);
    if missing.is_empty() {
        return Finding::well(Topic::Rights, "you may create all that an installation consists of");
    }
    Finding::broken(
        Topic::Rights,
        format!("you may not {}", named(&missing)),
        "install as an administrator of the cluster, such as one with the ClusterRole cluster-admin",
    )
}

fn may_grant(rights: &[Right], answers: &[Answer<bool>]) -> Finding {
    let missing = missing(rights, answers);
    if missing.is_empty() {
        return Finding::well(Topic::Rights, "you may grant the rights that Kindsmith needs");
    }
    Finding::broken(
        Topic::Rights,
        format!("you may not grant what you do not hold: {}", named(&missing)),
        "install as an administrator of the cluster, such as one with the ClusterRole cluster-admin",
    )
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    fn rights() -> Vec<Right> {
        vec![
            Right::of_resource("get", "", "secrets"),
            Right::of_resource("list", "", "secrets"),
            Right::of_resource("patch", "kindsmith.dev", "applicationdefinitions/status"),
        ]
    }

    fn judged(answers: Vec<Answer<bool>>) -> Vec<Finding> {
        Judged { account: "kindsmith-operator".to_owned(), rights: rights(), answers }.findings()
    }

    #[test]
    fn what_an_account_may_not_do_is_named() {
        let well = judged(vec![Ok(true), Ok(true), Ok(true)]);
        assert_eq!(well, [Finding::well(Topic::Rights, "kindsmith-operator may do all 3 things that it is to do")]);
        let missing = judged(vec![Ok(false), Ok(false), Ok(false)]);
        assert_eq!(missing[0].level, Level::Broken);
        assert_eq!(
            missing[0].found,
            "kindsmith-operator may not patch applicationdefinitions/status.kindsmith.dev; get, list secrets"
        );
        let forbidden = judged((0..3).map(|_| Err(Unanswered::Forbidden(String::new()))).collect());
        assert_eq!((forbidden.len(), forbidden[0].level), (1, Level::Unchecked));
        let late = judged(vec![Ok(false), Err(Unanswered::Late(std::time::Duration::ZERO)), Ok(true)]);
        assert_eq!((late[0].level, late[1].level), (Level::Warning, Level::Broken), "{late:?}");
    }

    #[test]
    fn a_person_is_told_what_an_installation_needs() {
        assert_eq!(may_create(&rights(), &[Ok(true), Ok(true), Ok(true)]).level, Level::Well);
        let missing = may_create(&rights(), &[Ok(true), Ok(true), Ok(false)]);
        assert!(missing.level == Level::Broken && missing.found.starts_with("you may not patch"), "{missing:?}");
        assert_eq!(may_grant(&rights(), &[]).level, Level::Well);
        assert_eq!(may_grant(&rights(), &[Ok(false), Ok(true), Ok(true)]).level, Level::Broken);
    }

    #[test]
    fn the_operator_is_to_read_the_instances_that_are_served() {
        let definition: DynamicObject = serde_json::from_value(json!({
            "spec": {"group": "a.b", "names": {"plural": "redises"}},
            "status": {"conditions": [{"type": "Served", "status": "True"}]}}))
        .unwrap();
        assert_eq!(instances(&Ok(vec![definition])), [Right::of_resource("list", "a.b", "redises")]);
        assert_eq!(instances(&Err(Unanswered::Missing)), []);
    }
}
