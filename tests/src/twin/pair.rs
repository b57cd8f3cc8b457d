//! Both sides of a twin test, and what was seen of them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context, Result};
use http::Request;
use serde_json::{Value, json};

use super::answer::Answer;
use super::definition::{Backend, Change, Definition, Schemas};
use super::ground::{Ground, Side};
use super::known;
use super::likeness::{Likeness, report};
use super::plan::{Ask, Body, Raw, Step, VERSION, may_be_stale, merge};
use super::watching::Watching;

/// What one side said last.
#[derive(Debug, Clone, Default)]
struct Seen {
    objects: HashMap<&'static str, Vec<Value>>,
    /// The metadata of each object, which a Table tells as well.
    metadata: HashMap<&'static str, Value>,
    continue_token: String,
}

/// Both sides of a sequence, in a namespace of its own.
pub struct Pair<'a> {
    ground: &'a Ground,
    seen: [Seen; 2],
    namespace: String,
    likeness: Likeness,
    watches: Vec<(String, Watching, Watching)>,
    /// How many requests were sent to each side.
    pub requests: usize,
    /// Whether the two have parted as they may: what comes after cannot be compared.
    has_parted: bool,
    /// How the definition was changed.
    changes: Vec<Change>,
    /// Whether a release has defaults of the storage version that the custom resource is only shown with.
    has_defaults: bool,
    /// How often answers differed as they may.
    pub known: BTreeMap<&'static str, usize>,
}

/// How often a read that may be stale is asked again, and after how long.
const STALE_READS: (usize, Duration) = (20, Duration::from_millis(50));

impl<'a> Pair<'a> {
    /// Both sides, with the namespace in both.
    ///
    /// # Errors
    /// A side does not take the namespace.
    pub async fn new(ground: &'a Ground, namespace: &str) -> Result<Self> {
        ground.change(&[]).await?;
        for side in &ground.sides {
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            let request = Request::post("/api/v1/namespaces").header("content-type", "application/json");
            let answer = Answer::to(&side.client, request.body(object.to_string().into_bytes())?).await?;
            anyhow::ensure!(matches!(answer.code, 201 | 409), "a namespace gave {}: {}", answer.code, answer.body);
        }
        let [Side { group: ours, .. }, Side { group: theirs, .. }] = &ground.sides;
        let likeness = Likeness::new(ours, theirs);
        let namespace = namespace.to_owned();
        Ok(Pair {
            ground,
            seen: Default::default(),
            namespace,
            likeness,
            watches: Vec::new(),
            requests: 0,
            has_parted: false,
            changes: Vec::new(),
            has_defaults: false,
            known: BTreeMap::new(),
        })
    }

    /// Does a step on both sides, and says what differs.
    ///
    /// # Errors
    /// A connection failed.
    pub async fn step(&mut self, step: &Step) -> Result<Option<String>> {
        match step {
            _ if self.has_parted => Ok(None),
            Step::Ask(ask) => self.ask(ask).await,
            Step::Watch { version, query, accept } => {
                self.watch(version, query, accept).await?;
                Ok(None)
            }
            Step::Change(changes) => {
                // A custom resource ends its watches when its definition changes.
                let found = self.end_watches().await;
                self.ground.change(changes).await?;
                let before = std::mem::replace(&mut self.changes, changes.clone());
                let is_default = |change: &Change| matches!(change, Change::OtherDefault | Change::NewDefault);
                self.has_parted |= self.has_defaults && before.iter().chain(changes).any(is_default);
                Ok(found.into_iter().next())
            }
            Step::Raw(raw) => self.raw(raw).await,
        }
    }

    /// Ends the watches and says what differs in what they saw.
    ///
    /// # Errors
    /// There are none so far.
    pub async fn finish(mut self) -> Result<(usize, Vec<String>)> {
        let found = self.end_watches().await;
        Ok((self.requests, found))
    }

    async fn end_watches(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        for (what, ours, theirs) in std::mem::take(&mut self.watches) {
            Watching::settle(&ours, &theirs).await;
            let (ours, theirs) = (ours.end(), theirs.end());
            let differences = self.differences(&ours, &theirs);
            if !differences.is_empty() && !self.has_parted {
                found.push(report(&what, &differences, &ours, &theirs));
            }
        }
        found
    }

    /// What differs but for what is meant to, by the backend.
    fn differences(&mut self, ours: &Answer, theirs: &Answer) -> Vec<String> {
        let definition = &self.ground.definition;
        if definition.backend == Backend::Store {
            return self.likeness.differences(ours, theirs);
        }
        let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
        without_release_status(&mut ours.body);
        // kube-apiserver says it of every answer, also of those that it only passes on.
        let mut says_cache_control = false;
        ours.headers.retain(|(name, _)| *name != "cache-control" || !std::mem::replace(&mut says_cache_control, true));
        if definition.schemas != Schemas::One {
            without_generation(&mut ours.body);
            without_generation(&mut theirs.body);
        }
        self.likeness.differences(&ours, &theirs)
    }

    async fn raw(&mut self, raw: &Raw) -> Result<Option<String>> {
        let mut answers = Vec::new();
        for side in 0..2 {
            let mut request = Request::builder().method(raw.method).uri(self.fill(side, Some("a"), &raw.path));
            for (name, value) in &raw.headers {
                request = request.header(*name, self.fill(side, None, value));
            }
            let request = request.body(self.fill(side, Some("a"), raw.body).into_bytes())?;
            answers.push(Answer::to(&self.ground.sides[side].client, request).await?);
        }
        self.requests += 1;
        let (Some(theirs), Some(ours)) = (answers.pop(), answers.pop()) else { return Ok(None) };
        let differences = self.differences(&ours, &theirs);
        if differences.is_empty() {
            self.remember(&raw.path, ours, theirs);
            return Ok(None);
        }
        if known::reason(&ours, &theirs).is_some() {
            return Ok(None);
        }
        Ok(Some(report(&format!("{raw:?}"), &differences, &ours, &theirs)))
    }

    async fn ask(&mut self, ask: &Ask) -> Result<Option<String>> {
        let attempts = if ask.method == "GET" && may_be_stale(&ask.query) { STALE_READS.0 } else { 1 };
        let mut last = None;
        for attempt in 0..attempts {
            if attempt > 0 {
                tokio::time::sleep(STALE_READS.1).await;
            }
            let (ours, theirs) = tokio::try_join!(self.send(0, ask), self.send(1, ask))?;
            self.requests += 1;
            let differences = self.differences(&ours, &theirs);
            let may_have_lost = self.may_have_lost(ask, &theirs);
            let is_release = self.ground.definition.backend == Backend::Release;
            self.has_defaults |= is_release && ask.method != "GET" && ask.version != VERSION && ours.code < 300;
            if differences.is_empty() {
                self.has_parted = may_have_lost;
                self.remember(&ask.query, ours, theirs);
                return Ok(None);
            }
            if self.may_part(ask, &differences, &ours, &theirs) {
                self.has_parted = true;
                return Ok(None);
            }
            if let Some(reason) = known::reason(&ours, &theirs) {
                *self.known.entry(reason).or_default() += 1;
                return Ok(None);
            }
            last = Some(report(&format!("{ask:?}"), &differences, &ours, &theirs));
        }
        Ok(last)
    }

    /// Whether an object may have lost fields that the version of a deletion lacks, as finalizers keep it: ours keeps them,
    /// since who holds a finalizer may need them.
    fn may_have_lost(&self, ask: &Ask, theirs: &Answer) -> bool {
        let has_versions = matches!(self.ground.definition.schemas, Schemas::Two | Schemas::Changing);
        has_versions && ask.method == "DELETE" && theirs.body["kind"] == "Twin"
    }

    /// Whether a write through one of several versions went as it may on a release and not on a custom resource; what comes
    /// after cannot be compared.
    ///
    /// - kube-apiserver could not read the object in the version of another manager: it leaves the owners as they were, and
    ///   refuses an apply. The schema of a release takes what others put there, so its owners are tracked.
    /// - kube-apiserver stored defaults of the storage version that the object did not have. A release has them at once.
    fn may_part(&self, ask: &Ask, differences: &[String], ours: &Answer, theirs: &Answer) -> bool {
        let Definition { backend, schemas, .. } = self.ground.definition;
        let has_versions = matches!(schemas, Schemas::Two | Schemas::Changing);
        if backend != Backend::Release || !has_versions || ask.method == "GET" {
            return false;
        }
        // A Status in protobuf is a string to us.
        let message = theirs.body["message"].as_str().or(theirs.body.as_str()).unwrap_or_default();
        let is_unreadable = theirs.code == 500 && message.contains("field not declared in schema");
        let are_about = |member: &str| differences.iter().all(|difference| difference.contains(member));
        let seen = |side: usize| ask.name.and_then(|name| self.seen[side].metadata.get(name));
        let is_as_seen = |side: usize, answer: &Answer, member: &str| {
            let before = seen(side).map(|metadata| metadata[member].clone()).unwrap_or_default();
            before == shown(&answer.body)["metadata"][member]
        };
        let is_untracked = are_about("managedFields") && is_as_seen(1, theirs, "managedFields");
        let is_stored_again = are_about("resourceVersion") && is_as_seen(0, ours, "resourceVersion");
        is_unreadable || is_untracked || is_stored_again
    }

    fn remember(&mut self, query: &str, ours: Answer, theirs: Answer) {
        if !matches!(ours.code, 200 | 201) {
            return;
        }
        let mut ours = ours;
        if self.ground.definition.backend == Backend::Release {
            without_release_status(&mut ours.body);
        }
        for (seen, answer) in self.seen.iter_mut().zip([ours, theirs]) {
            let metadata = &shown(&answer.body)["metadata"];
            let name = super::plan::NAMES.into_iter().find(|name| metadata["name"] == *name);
            if let Some(name) = name.filter(|_| !query.contains("dryRun")) {
                seen.metadata.insert(name, metadata.clone());
            }
            if answer.body["kind"] == "Twin" && !query.contains("dryRun") {
                if let Some(name) = name {
                    seen.objects.entry(name).or_default().push(answer.body);
                }
            } else if answer.body["kind"].as_str().is_some_and(|kind| kind == "Table" || kind.ends_with("List")) {
                // Where there is no next page one side says so and the other says nothing.
                let token = answer.body["metadata"]["continue"].as_str().unwrap_or_default();
                token.clone_into(&mut seen.continue_token);
            }
        }
    }

    async fn send(&self, side: usize, ask: &Ask) -> Result<Answer> {
        let body = match &ask.body {
            Body::None => String::new(),
            Body::Text(text) => text.clone(),
            Body::Seen(change) => {
                let seen = ask.name.and_then(|name| self.seen[side].objects.get(name)).and_then(|all| all.last());
                let mut object =
                    seen.cloned().unwrap_or_else(|| json!({"kind": "Twin", "metadata": {"name": ask.name}}));
                object["apiVersion"] = json!(format!("{{group}}/{}", ask.version));
                merge(&mut object, change);
                object.to_string()
            }
        };
        let name = ask.name.map(|name| format!("/{name}")).unwrap_or_default();
        let mut path = format!("{}{name}{}", self.collection(side, ask.version), ask.tail);
        if !ask.query.is_empty() {
            path = format!("{path}?{}", ask.query);
        }
        let fill = |text: &str| self.fill(side, ask.name, text);
        let mut request = Request::builder().method(ask.method).uri(fill(&path)).header("accept", ask.accept);
        if !body.is_empty() && !ask.content_type.is_empty() {
            request = request.header("content-type", ask.content_type);
        }
        let request = request.body(fill(&body).into_bytes())?;
        Answer::to(&self.ground.sides[side].client, request).await.with_context(|| format!("{} {path}", ask.method))
    }

    fn collection(&self, side: usize, version: &str) -> String {
        format!("/apis/{}/{version}/namespaces/{}/twins", self.ground.sides[side].group, self.namespace)
    }

    /// Puts what this side knows in the place of tokens.
    fn fill(&self, side: usize, name: Option<&str>, text: &str) -> String {
        let seen = name.and_then(|name| self.seen[side].objects.get(name)).map_or(&[][..], Vec::as_slice);
        let field = |back: usize, field: &str| {
            let object = seen.len().checked_sub(back).and_then(|index| seen.get(index));
            object.and_then(|object| object["metadata"][field].as_str()).unwrap_or("1").to_owned()
        };
        text.replace("{group}", &self.ground.sides[side].group)
            .replace("{ns}", &self.namespace)
            .replace("{uid}", &field(1, "uid"))
            .replace("{rv}", &field(1, "resourceVersion"))
            .replace("{rv-1}", &field(2, "resourceVersion"))
            .replace("{continue}", &self.seen[side].continue_token)
    }

    async fn watch(&mut self, version: &str, query: &str, accept: &'static str) -> Result<()> {
        let mut opened = Vec::new();
        for side in 0..2 {
            let mut query = self.fill(side, None, query);
            if query.contains("{list}") {
                let request = Request::get(self.collection(side, version)).body(Vec::new())?;
                let list = Answer::to(&self.ground.sides[side].client, request).await?;
                query = query.replace("{list}", list.body["metadata"]["resourceVersion"].as_str().unwrap_or_default());
            }
            let path = format!("{}?watch=true&timeoutSeconds=300&{query}", self.collection(side, version));
            let request = Request::get(path.trim_end_matches('&')).header("accept", accept).body(Vec::new())?;
            opened.push(Watching::open(&self.ground.sides[side].client, request).await?);
        }
        self.requests += 1;
        if let (Some(theirs), Some(ours)) = (opened.pop(), opened.pop()) {
            self.watches.push((format!("watch {version}?{query} as {accept}"), ours, theirs));
        }
        Ok(())
    }
}

/// The one object that an answer shows: itself, or in the row of a Table.
fn shown(body: &Value) -> &Value {
    match body["rows"].as_array().map(Vec::as_slice) {
        Some([row]) => &row["object"],
        _ => body,
    }
}

/// Without what a release that Flux does not see says of itself: that nobody has observed it, and that its values do not fit
/// the schema. Such values are served as they are, as a custom resource is, and it is told.
pub fn without_release_status(value: &mut Value) {
    each_text(value, &without_conditions);
    each_object(value, &|object| {
        let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) else { return };
        if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
            conditions
                .retain(|condition| condition["type"] != "ValuesValid" && condition["reason"] != "NotYetObserved");
            if conditions.is_empty() {
                status.remove("conditions");
            }
        }
        if status.is_empty() {
            object.remove("status");
        }
    });
}

/// Without the conditions of an object that an error shows.
fn without_conditions(text: &mut String) {
    const BEGIN: &str = r#"\"conditions\":[{"#;
    const END: &str = r#"}]"#;
    while let Some(begin) = text.find(BEGIN) {
        let Some(length) = text[begin..].find(END) else { return };
        let mut end = begin + length + END.len();
        if text[end..].starts_with(',') {
            end += 1;
        }
        text.replace_range(begin..end, "");
        *text = text.replace(r#",\"status\":{}"#, "");
    }
}

/// Without generations: that of a release counts when the values change, in the shape of the storage version, and that of a
/// custom resource when it changes in the version of the request.
fn without_generation(value: &mut Value) {
    each_object(value, &|object| {
        if let Some(generation) = object.get_mut("metadata").and_then(|metadata| metadata.get_mut("generation")) {
            *generation = json!(0);
        }
    });
}

fn each_text(value: &mut Value, change: &impl Fn(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Object(members) => members.values_mut().for_each(|member| each_text(member, change)),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        _ => {}
    }
}

fn each_object(value: &mut Value, change: &impl Fn(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            change(members);
            members.values_mut().for_each(|member| each_object(member, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        _ => {}
    }
}
