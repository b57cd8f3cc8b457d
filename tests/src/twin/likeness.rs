//! Whether two answers mean the same.
//!
//! Uids and resource versions stand for the same thing on both sides if they were always seen together. Times only have
//! to be there. The group's name is the one thing that is known to differ.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::answer::Answer;

/// What was matched so far.
#[derive(Debug, Default)]
pub struct Likeness {
    to_theirs: HashMap<String, String>,
    to_ours: HashMap<String, String>,
    /// Our group and theirs.
    groups: (String, String),
}

/// Entries without their times, in an order that does not depend on them.
fn by_manager(entries: &[Value]) -> Vec<Value> {
    let mut entries = entries.to_vec();
    for entry in &mut entries {
        if let Some(time) = entry.get_mut("time") {
            *time = json!("");
        }
    }
    entries.sort_by_key(|entry| {
        ["manager", "operation", "apiVersion", "subresource"]
            .map(|member| entry[member].as_str().unwrap_or_default().to_owned())
    });
    entries
}

/// Keys whose values are times.
const TIMES: [&str; 3] = ["creationTimestamp", "deletionTimestamp", "lastTransitionTime"];

impl Likeness {
    /// Of kinds in these groups.
    pub fn new(our_group: &str, their_group: &str) -> Self {
        Self { groups: (our_group.to_owned(), their_group.to_owned()), ..Self::default() }
    }

    /// What differs, one line each; nothing if the answers mean the same.
    pub fn differences(&mut self, ours: &Answer, theirs: &Answer) -> Vec<String> {
        let mut found = Vec::new();
        if ours.code != theirs.code {
            found.push(format!("code: ours {}, theirs {}", ours.code, theirs.code));
        }
        let theirs_headers: Vec<_> =
            theirs.headers.iter().map(|(name, value)| (*name, self.neutral(value, &self.groups.1))).collect();
        let our_headers: Vec<_> =
            ours.headers.iter().map(|(name, value)| (*name, self.neutral(value, &self.groups.0))).collect();
        if our_headers != theirs_headers {
            found.push(format!("headers: ours {our_headers:?}, theirs {theirs_headers:?}"));
        }
        self.values(&ours.body, &theirs.body, "body", &mut found);
        found
    }

    fn values(&mut self, ours: &Value, theirs: &Value, at: &str, found: &mut Vec<String>) {
        match (ours, theirs) {
            (Value::Object(our_fields), Value::Object(their_fields)) => {
                self.fields(our_fields, their_fields, at, found);
            }
            // Go's maps have no order, so errors of several fields have none.
            (Value::Array(our_causes), Value::Array(their_causes)) if at.ends_with(".causes") => {
                let sorted = |causes: &[Value], group: &str| {
                    let mut texts: Vec<String> =
                        causes.iter().map(|cause| self.neutral(&cause.to_string(), group)).collect();
                    texts.sort_unstable();
                    texts
                };
                let (ours, theirs) = (sorted(our_causes, &self.groups.0), sorted(their_causes, &self.groups.1));
                let pairs = || ours.iter().zip(&theirs);
                if ours.len() != theirs.len() || pairs().any(|(ours, theirs)| !are_reordered(ours, theirs)) {
                    found.push(format!("{at}: ours {ours:?}, theirs {theirs:?}"));
                }
            }
            (Value::Array(our_items), Value::Array(their_items)) => {
                if our_items.len() != their_items.len() {
                    found.push(format!("{at}: ours has {} items, theirs {}", our_items.len(), their_items.len()));
                }
                for (index, (ours, theirs)) in our_items.iter().zip(their_items).enumerate() {
                    self.values(ours, theirs, &format!("{at}[{index}]"), found);
                }
            }
            (Value::String(ours), Value::String(theirs)) => {
                let (left, right) = (self.neutral(ours, &self.groups.0), self.neutral(theirs, &self.groups.1));
                let is_error = at.ends_with(".message") && are_reordered(&left, &right);
                let alike = is_error || is_age(&left) && is_age(&right) || are_same_errors(&left, &right);
                if left != right && !alike {
                    found.push(format!("{at}: ours {left:?}, theirs {right:?}"));
                }
            }
            _ if ours == theirs => {}
            // kube-apiserver may send headers again: it shares the encoded event with a watch that begins.
            (Value::Null, Value::Array(_)) if at.ends_with(".columnDefinitions") && !at.contains("events[0]") => {}
            _ => found.push(format!("{at}: ours {ours}, theirs {theirs}")),
        }
    }

    fn fields(&mut self, ours: &Map<String, Value>, theirs: &Map<String, Value>, at: &str, found: &mut Vec<String>) {
        let is_list = ours.contains_key("items") || ours.contains_key("rows");
        for (name, our_value) in ours {
            let at = format!("{at}.{name}");
            let Some(their_value) = theirs.get(name) else {
                found.push(format!("{at}: ours {our_value}, theirs has none"));
                continue;
            };
            match (name.as_str(), our_value, their_value) {
                // A storage version is hashed with its group.
                ("uid" | "storageVersionHash", Value::String(ours), Value::String(theirs)) => {
                    self.pair(ours, theirs, &at, found)
                }
                ("metadata", Value::Object(ours), Value::Object(theirs)) if is_list => {
                    Self::list_metadata(ours, theirs, &at, found);
                }
                ("resourceVersion", Value::String(ours), Value::String(theirs)) if !ours.is_empty() => {
                    self.pair(ours, theirs, &at, found);
                }
                (time, Value::String(_), Value::String(_)) if TIMES.contains(&time) => {}
                ("managedFields", Value::Array(ours), Value::Array(theirs)) => {
                    self.values(&json!(by_manager(ours)), &json!(by_manager(theirs)), &at, found);
                }
                _ => self.values(our_value, their_value, &at, found),
            }
        }
        for (name, their_value) in theirs {
            if !ours.contains_key(name) {
                found.push(format!("{at}.{name}: ours has none, theirs {their_value}"));
            }
        }
    }

    /// A list's revision is the store's, which others move too; its continue token is opaque.
    fn list_metadata(ours: &Map<String, Value>, theirs: &Map<String, Value>, at: &str, found: &mut Vec<String>) {
        // An empty token and none are the same: kube-apiserver writes both, as the list came from etcd or from memory.
        let has = |list: &Map<String, Value>, name: &str| list.get(name).is_some_and(|value| value != "");
        for name in ["resourceVersion", "continue"] {
            if has(ours, name) != has(theirs, name) {
                found.push(format!("{at}.{name}: ours {:?}, theirs {:?}", ours.get(name), theirs.get(name)));
            }
        }
        if ours.get("remainingItemCount") != theirs.get("remainingItemCount") {
            let (ours, theirs) = (ours.get("remainingItemCount"), theirs.get("remainingItemCount"));
            found.push(format!("{at}.remainingItemCount: ours {ours:?}, theirs {theirs:?}"));
        }
    }

    /// Two names of the same thing.
    fn pair(&mut self, ours: &str, theirs: &str, at: &str, found: &mut Vec<String>) {
        let known = (self.to_theirs.get(ours), self.to_ours.get(theirs));
        match known {
            (None, None) => {
                self.to_theirs.insert(ours.to_owned(), theirs.to_owned());
                self.to_ours.insert(theirs.to_owned(), ours.to_owned());
            }
            (Some(known), _) if known == theirs => {}
            (known_theirs, known_ours) => found.push(format!(
                "{at}: ours {ours} was theirs {known_theirs:?}, theirs {theirs} was ours {known_ours:?}"
            )),
        }
    }

    /// A text without what is known to differ: the group, uids and revisions inside of it.
    fn neutral(&self, text: &str, group: &str) -> String {
        // How far back a store remembers is its own affair.
        if let Some((about, _)) = text.split_once("too old resource version: ") {
            return format!("{about}too old resource version");
        }
        // The revision that an object has now was not told before.
        if let Some((about, record)) = text.split_once("does not match the ResourceVersion in record (") {
            let rest = record.trim_start_matches(|digit: char| digit.is_ascii_digit());
            return self.neutral(&format!("{about}does not match that in record ({rest}"), group);
        }
        // Word by word: a short revision may stand inside of a uid by chance.
        let text = without_times(&text.replace(group, "GROUP"));
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let mut neutral = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
            let partner = Some(word).filter(|word| word.len() > 1);
            match partner.and_then(|word| self.to_theirs.get(word).or_else(|| self.to_ours.get(word))) {
                Some(partner) => {
                    let mut both = [word, partner];
                    both.sort_unstable();
                    neutral.push_str(&both.join("|"));
                }
                None => neutral.push_str(word),
            }
            let (between, next) = after.split_at(after.find(is_word).unwrap_or(after.len()));
            neutral.push_str(between);
            rest = next;
        }
        neutral
    }
}

/// A text with one word for each time in it.
fn without_times(text: &str) -> String {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00Z";
    let is_time = |bytes: &[u8]| {
        let fits = |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
        bytes.len() == SHAPE.len() && bytes.iter().zip(SHAPE).all(fits)
    };
    let mut neutral = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.as_bytes().windows(SHAPE.len()).position(is_time) {
        neutral.push_str(&rest[..position]);
        neutral.push_str("TIME");
        rest = &rest[position + SHAPE.len()..];
    }
    neutral + rest
}

/// Whether a value that two errors show differs in the order of its members alone: Go prints its structs in theirs.
fn are_reordered(left: &str, right: &str) -> bool {
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    left == right || (left.contains("Invalid value: ") && letters(left) == letters(right))
}

/// Messages with the same errors in another order.
fn are_same_errors(left: &str, right: &str) -> bool {
    let sorted = |text: &str| {
        let mut characters: Vec<char> = text.chars().collect();
        characters.sort_unstable();
        characters
    };
    if left.starts_with("k8s\0") && right.starts_with("k8s\0") && sorted(left) == sorted(right) {
        return true;
    }
    let parts = |text: &str| {
        if let Some((about, errors)) = text.split_once("errors:\n") {
            let mut errors: Vec<_> = errors.lines().map(str::to_owned).collect();
            errors.sort_unstable();
            return Some((about.to_owned(), errors));
        }
        let (about, errors) = text.split_once(" is invalid: [")?;
        let mut errors: Vec<String> = errors.trim_end_matches(']').split(", ").map(str::to_owned).collect();
        errors.sort_unstable();
        Some((about.to_owned(), errors))
    };
    // The first unknown field ends Go's walk of a map, and Go walks maps in any order.
    let unknown = "field not declared in schema";
    if left.contains(unknown) && right.contains(unknown) {
        return true;
    }
    parts(left).is_some_and(|left| Some(left) == parts(right))
}

/// Times since, as columns have them.
fn is_age(text: &str) -> bool {
    text.strip_suffix('s').is_some_and(|seconds| seconds.parse::<u32>().is_ok()) || text == "<unknown>"
}

/// How much of two bodies a report shows.
const BODIES_CHARS_MAX: usize = 1500;

/// A difference as a report has it.
pub fn report(step: &str, differences: &[String], ours: &Answer, theirs: &Answer) -> String {
    let bodies = json!({"ours": ours.body, "theirs": theirs.body}).to_string();
    let bodies: String = bodies.chars().take(BODIES_CHARS_MAX).collect();
    format!("{step}\n    {}\n    {bodies}", differences.join("\n    "))
}
