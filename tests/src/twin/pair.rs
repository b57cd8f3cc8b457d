//! Both sides of a twin test, and what was seen of them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context, Result};
use http::Request;
use kube::Client;
use serde_json::{Value, json};

use super::answer::Answer;
use super::known;
use super::likeness::{Likeness, report};
use super::plan::{Ask, Body, Step, may_be_stale, merge};
use super::watching::Watching;

/// One side: where the kind is served.
#[derive(Clone)]
pub struct Side {
    /// A client for it.
    pub client: Client,
    /// The kind's group there.
    pub group: String,
}

/// What one side said last.
#[derive(Debug, Clone, Default)]
struct Seen {
    objects: HashMap<&'static str, Vec<Value>>,
    continue_token: String,
}

/// Both sides of a sequence, in a namespace of its own.
pub struct Pair {
    sides: [Side; 2],
    seen: [Seen; 2],
    namespace: String,
    likeness: Likeness,
    watches: Vec<(String, Watching, Watching)>,
    /// How many requests were sent to each side.
    pub requests: usize,
    /// How often answers differed as they may.
    pub known: BTreeMap<&'static str, usize>,
}

/// How often a read that may be stale is asked again, and after how long.
const STALE_READS: (usize, Duration) = (20, Duration::from_millis(50));

impl Pair {
    /// Both sides, with the namespace in both.
    ///
    /// # Errors
    /// A side does not take the namespace.
    pub async fn new(ours: &Side, theirs: &Side, namespace: &str) -> Result<Pair> {
        let sides = [ours.clone(), theirs.clone()];
        for side in &sides {
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            let request = Request::post("/api/v1/namespaces").header("content-type", "application/json");
            let answer = Answer::to(&side.client, request.body(object.to_string().into_bytes())?).await?;
            anyhow::ensure!(matches!(answer.code, 201 | 409), "a namespace gave {}: {}", answer.code, answer.body);
        }
        let likeness = Likeness::new(&ours.group, &theirs.group);
        let namespace = namespace.to_owned();
        Ok(Pair {
            sides,
            seen: Default::default(),
            namespace,
            likeness,
            watches: Vec::new(),
            requests: 0,
            known: BTreeMap::new(),
        })
    }

    /// Does a step on both sides, and says what differs.
    ///
    /// # Errors
    /// A connection failed.
    pub async fn step(&mut self, step: &Step) -> Result<Option<String>> {
        match step {
            Step::Ask(ask) => self.ask(ask).await,
            Step::Watch { version, query, accept } => {
                self.watch(version, query, accept).await?;
                Ok(None)
            }
        }
    }

    /// Ends the watches and says what differs in what they saw.
    ///
    /// # Errors
    /// There are none so far.
    pub async fn finish(mut self) -> Result<(usize, Vec<String>)> {
        let mut found = Vec::new();
        for (what, ours, theirs) in std::mem::take(&mut self.watches) {
            Watching::settle(&ours, &theirs).await;
            let (ours, theirs) = (ours.end(), theirs.end());
            let differences = self.likeness.differences(&ours, &theirs);
            if !differences.is_empty() {
                found.push(report(&what, &differences, &ours, &theirs));
            }
        }
        Ok((self.requests, found))
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
            let differences = self.likeness.differences(&ours, &theirs);
            if differences.is_empty() {
                self.remember(ask, ours, theirs);
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

    fn remember(&mut self, ask: &Ask, ours: Answer, theirs: Answer) {
        if !matches!(ours.code, 200 | 201) {
            return;
        }
        for (seen, answer) in self.seen.iter_mut().zip([ours, theirs]) {
            if answer.body["kind"] == "Twin" && !ask.query.contains("dryRun") {
                let name = super::plan::NAMES.into_iter().find(|name| answer.body["metadata"]["name"] == *name);
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
        Answer::to(&self.sides[side].client, request).await.with_context(|| format!("{} {path}", ask.method))
    }

    fn collection(&self, side: usize, version: &str) -> String {
        format!("/apis/{}/{version}/namespaces/{}/twins", self.sides[side].group, self.namespace)
    }

    /// Puts what this side knows in the place of tokens.
    fn fill(&self, side: usize, name: Option<&str>, text: &str) -> String {
        let seen = name.and_then(|name| self.seen[side].objects.get(name)).map_or(&[][..], Vec::as_slice);
        let field = |back: usize, field: &str| {
            let object = seen.len().checked_sub(back).and_then(|index| seen.get(index));
            object.and_then(|object| object["metadata"][field].as_str()).unwrap_or("1").to_owned()
        };
        text.replace("{group}", &self.sides[side].group)
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
                let list = Answer::to(&self.sides[side].client, request).await?;
                query = query.replace("{list}", list.body["metadata"]["resourceVersion"].as_str().unwrap_or_default());
            }
            let path = format!("{}?watch=true&timeoutSeconds=300&{query}", self.collection(side, version));
            let request = Request::get(path.trim_end_matches('&')).header("accept", accept).body(Vec::new())?;
            opened.push(Watching::open(&self.sides[side].client, request).await?);
        }
        self.requests += 1;
        if let (Some(theirs), Some(ours)) = (opened.pop(), opened.pop()) {
            self.watches.push((format!("watch {version}?{query} as {accept}"), ours, theirs));
        }
        Ok(())
    }
}
