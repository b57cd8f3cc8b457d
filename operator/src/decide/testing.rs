//! A small world to decide about, and what follows when its actions are carried out.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::{
    ByteString,
    apimachinery::pkg::apis::meta::v1::Time,
    kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceCondition, APIServiceStatus},
};
use kindsmith_schema::{form::DefinitionForm, succession::AcceptedGeneration};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{Action, Cluster, CrdClaim, Decider, REGISTRY_DIGEST_ANNOTATION, ServiceTarget, Surroundings, World};
use crate::{
    group_version::GroupVersion,
    inspection::Answers,
    installation::Installation,
    judge::{Grounds, Judge},
    progress::Progress,
    records::Records,
    watched::WatchedDefinition,
};

/// An ApplicationDefinition `<plural>.apps.example.com` with one version, v1.
pub(crate) fn definition(plural: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "kindsmith.dev/v1alpha1",
        "kind": "ApplicationDefinition",
        "metadata": {
            "name": format!("{plural}.apps.example.com"),
            "uid": format!("uid-of-{plural}"),
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z"
        },
        "spec": {
            "group": "apps.example.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}
            }],
            "backend": {"helmRelease": {
                "chartRef": {"kind": "OCIRepository", "name": plural, "namespace": "charts"}, "prefix": "x-"}}
        }
    })
}

/// An available APIService of ours.
pub(crate) fn api_service(group_version: &GroupVersion) -> APIService {
    let mut found: APIService = serde_json::from_value(json!({
        "metadata": {
            "name": group_version.api_service_name(),
            "uid": format!("uid-of-{group_version}"),
            "resourceVersion": "1",
            "labels": {"app.kubernetes.io/managed-by": "kindsmith"}
        },
        "spec": {
            "group": group_version.group,
            "version": group_version.version,
            "groupPriorityMinimum": 1000,
            "versionPriority": 10,
            "service": {"namespace": "kindsmith-system", "name": "api", "port": 443},
            "caBundle": "YnVuZGxl"
        }
    }))
    .unwrap();
    set_available(&mut found, "True", "Passed");
    found
}

/// What kube-aggregator finds about an APIService.
pub(crate) fn set_available(api_service: &mut APIService, status: &str, reason: &str) {
    let condition = APIServiceCondition {
        type_: "Available".to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(format!("because of {reason}")),
        last_transition_time: Some(Time(jiff::Timestamp::UNIX_EPOCH)),
    };
    api_service.status = Some(APIServiceStatus { conditions: Some(vec![condition]) });
}

/// What is to be done in a world that nothing is known of before.
pub(crate) fn decide(world: &World) -> Vec<Action> {
    Decider::default().decide(world.clone())
}

/// A world with what is put into it. It remembers verdicts, as the controller does.
pub(crate) struct WorldBuilder {
    pub(crate) judge: Judge,
    pub(crate) objects: Vec<Value>,
    pub(crate) cluster: Option<Cluster>,
    /// What is found about instances.
    pub(crate) answers: Answers,
    /// The objects as they were seen last: what stays is the same, as in a store.
    seen: HashMap<String, (Value, Arc<WatchedDefinition>)>,
    decider: Decider,
    /// How far settings have come, by the uid of the definition.
    pub(crate) progress: Arc<BTreeMap<String, Progress>>,
    /// What time it is.
    now: jiff::Timestamp,
}

impl WorldBuilder {
    pub(crate) fn registered() -> Self {
        let cluster = Cluster {
            api_services: Vec::new(),
            crds: Vec::new(),
            releases: crate::release_schema::Backend::Served,
            bundle: Some(ByteString(b"bundle".to_vec())),
            service: ServiceTarget { namespace: "kindsmith-system".to_owned(), name: "api".to_owned(), port: 443 },
            replicas: None,
            records: Records::new(Arc::default()),
            roles: Arc::default(),
            visible: None,
            sights: Arc::default(),
            installation: Installation::Stays { anchor: None },
        };
        Self { cluster: Some(cluster), ..Self::stand_alone() }
    }

    pub(crate) fn stand_alone() -> Self {
        Self {
            judge: Judge::default(),
            objects: Vec::new(),
            cluster: None,
            answers: Answers::new(),
            seen: HashMap::new(),
            decider: Decider::default(),
            progress: Arc::default(),
            now: "2026-11-23T00:00:00Z".parse().unwrap(),
        }
    }

    /// Puts a definition into the world; its releases were looked at.
    pub(crate) fn define(mut self, definition: &Value) -> Self {
        let uid = definition["metadata"]["uid"].as_str().unwrap().to_owned();
        Arc::make_mut(&mut self.progress).entry(uid).or_default();
        self.objects.push(definition.clone());
        self
    }

    pub(crate) fn api_service(mut self, api_service: APIService) -> Self {
        self.cluster().api_services.push(Arc::new(api_service));
        self
    }

    pub(crate) fn crd(mut self, crd: CrdClaim) -> Self {
        self.cluster().crds.push(crd);
        self
    }

    pub(crate) fn cluster(&mut self) -> &mut Cluster {
        self.cluster.as_mut().unwrap()
    }

    pub(crate) fn look(&mut self) -> World {
        if let Some(cluster) = &mut self.cluster {
            cluster.api_services.sort_by(|left, right| left.metadata.name.cmp(&right.metadata.name));
        }
        let seen = &mut self.seen;
        let objects: Vec<_> = self
            .objects
            .iter()
            .map(|object| {
                let name = object["metadata"]["name"].as_str().unwrap();
                if seen.get(name).is_none_or(|(held, _)| held != object) {
                    let parsed = Arc::new(serde_json::from_value(object.clone()).unwrap());
                    seen.insert(name.to_owned(), (object.clone(), parsed));
                }
                Arc::clone(&seen[name].1)
            })
            .collect();
        let lists = vec![(DefinitionForm::Kindsmith, Arc::new(objects))];
        let records = self.cluster.as_ref().map(|cluster| Arc::clone(&cluster.records));
        let (answers, progress) = (self.answers.clone(), Arc::clone(&self.progress));
        let grounds = Grounds { records, answers, progress, ..Grounds::default() };
        let definitions = self.judge.judge(lists.clone(), &grounds);
        let anew = self.judge.before_any_look().judge(lists, &grounds);
        assert_eq!(definitions, anew, "what was seen before matters");
        World {
            now: self.now,
            definitions,
            surroundings: self
                .cluster
                .clone()
                .map_or(Surroundings::StandAlone, |it| Surroundings::Registered(Box::new(it))),
        }
    }

    pub(crate) fn build(mut self) -> World {
        self.look()
    }

    /// Goes on to another time, at which everything is decided anew, as the controller does once a minute.
    pub(crate) fn at(&mut self, now: &str) {
        self.now = now.parse().unwrap();
        self.decider = Decider::default();
    }

    /// Decides about the world as it is now, which must be the same whatever was decided before.
    pub(crate) fn decide(&mut self) -> Vec<Action> {
        let world = self.look();
        let anew = decide(&world);
        let actions = self.decider.decide(world);
        assert_eq!(actions, anew, "what was decided before matters");
        actions
    }

    /// Decides, and does what was decided, until nothing is left to do; returns all that was done.
    pub(crate) fn settle(&mut self) -> Vec<Action> {
        let mut done = Vec::new();
        for _ in 0..20 {
            let actions = self.decide();
            if actions.is_empty() {
                return done;
            }
            let mut busy = HashSet::new();
            for action in &actions {
                // One at a time works on a subject.
                if busy.insert(action.subject()) {
                    self.carry_out(action);
                }
            }
            done.extend(actions);
        }
        panic!("decisions never settle: {done:#?}");
    }

    /// Does some of what was decided: `taken` has a bit for each.
    pub(crate) fn act(&mut self, actions: &[Action], taken: u64) {
        let mut busy = HashSet::new();
        for (_, action) in actions.iter().enumerate().filter(|(at, _)| taken >> (at % 64) & 1 == 1) {
            if busy.insert(action.subject()) {
                self.carry_out(action);
            }
        }
    }

    /// Does one thing. What it is about may be gone by now.
    fn carry_out(&mut self, action: &Action) {
        match action {
            Action::WriteStatus { name, patch, .. } => {
                let Some(object) = self.objects.iter_mut().find(|object| object["metadata"]["name"] == *name) else {
                    return;
                };
                json_merge(object, &json!({"status": patch["status"]}));
            }
            Action::ApplyApiService { object, .. } => {
                let mut object = object.clone();
                object.metadata.uid = Some("uid".to_owned());
                set_available(&mut object, "True", "Passed");
                self.cluster().api_services.retain(|found| found.metadata.name != object.metadata.name);
                self.cluster().api_services.push(Arc::new(*object));
            }
            Action::DeleteApiService { name, .. } => {
                self.cluster().api_services.retain(|found| found.metadata.name.as_ref() != Some(name));
            }
            Action::Refresh { group_version, digest, .. } => {
                let name = group_version.api_service_name();
                let found = self.cluster().api_services.iter_mut().find(|it| it.name_any() == name);
                let Some(found) = found else { return };
                Arc::make_mut(found).annotations_mut().insert(REGISTRY_DIGEST_ANNOTATION.to_owned(), digest.clone());
            }
            Action::Record { name, revision, .. } => {
                let Some(object) = self.objects.iter().find(|object| object["metadata"]["name"] == *name) else {
                    return;
                };
                let record = AcceptedGeneration::pack(DefinitionForm::Kindsmith, object, *revision).unwrap();
                self.cluster().records.put(record);
            }
            Action::ForgetRecords { names, .. } => names.iter().for_each(|name| self.cluster().records.take(name)),
            Action::SetFinalizers { name, finalizers, .. } => {
                let at = self.objects.iter().position(|object| object["metadata"]["name"] == *name);
                let Some(at) = at else { return };
                self.objects[at]["metadata"]["finalizers"] = json!(finalizers);
                if finalizers.is_empty() && self.objects[at]["metadata"].get("deletionTimestamp").is_some() {
                    self.objects.remove(at);
                }
            }
            Action::WriteRole { object } => {
                let mut object = object.clone();
                object.metadata.uid = Some("uid".to_owned());
                object.metadata.resource_version = Some("1".to_owned());
                Arc::make_mut(&mut self.cluster().roles).retain(|found| found.metadata.name != object.metadata.name);
                Arc::make_mut(&mut self.cluster().roles).push(Arc::new(*object));
            }
            Action::DeleteRole { name, .. } => {
                Arc::make_mut(&mut self.cluster().roles).retain(|found| found.metadata.name.as_ref() != Some(name));
            }
            Action::WriteSecret { .. } | Action::RoundTrip { .. } => panic!("certificates are not decided here"),
        }
    }

    /// The status of a condition, its reason and its message.
    pub(crate) fn condition(&self, plural: &str, kind: &str) -> (String, String, String) {
        let name = format!("{plural}.apps.example.com");
        let object = self.objects.iter().find(|object| object["metadata"]["name"] == name).unwrap();
        let conditions = object["status"]["conditions"].as_array().unwrap();
        let found = conditions.iter().find(|condition| condition["type"] == kind).unwrap();
        let text = |key: &str| found[key].as_str().unwrap().to_owned();
        (text("status"), text("reason"), text("message"))
    }
}

fn json_merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            json_merge(&mut target[key.as_str()], value);
        }
    }
}
