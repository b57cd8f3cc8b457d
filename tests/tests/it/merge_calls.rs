//! Server-side apply: every call that the tests of structured-merge-diff make, made to ours.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, anyhow, bail, ensure};
use kindsmith_merge::{
    ConvertError, Converter, Duplicates, Force, KeyFields, Managers, Noop, ObjectType, Operation, PathElement, Set,
    Typed, UpdateError, Updater, VersionedSet, path_text,
};
use kindsmith_tests::merge_oracle;
use serde_json::Value;

/// How many differences are shown.
const SHOWN_MAX: usize = 5;

/// How many calls may depend on the order of a map in Go: those of several managers at three versions.
const ANOTHER_ORDER_MAX: usize = 10;

/// What is said of a field that a type does not have.
const UNKNOWN: &str = "field not declared in schema";

/// What a conversion made of an object.
type Made<'t> = Result<(Value, &'t ObjectType), ConvertError>;

/// What has become of a call.
#[derive(PartialEq)]
enum Checked {
    /// The outcome was compared.
    Compared,
    /// Go took the versions in another order, as its maps have none, and did not convert what ours asks for.
    AnotherOrder,
}

/// Replays what the converter of a Go test made of objects.
struct Replay<'t> {
    made: HashMap<(String, String), Made<'t>>,
    unknown: Cell<bool>,
}

impl Converter for Replay<'_> {
    fn convert<'a>(&'a self, object: &'a Typed<'_>, version: &str) -> Result<Typed<'a>, ConvertError> {
        match self.made.get(&(object.value().to_string(), version.to_owned())) {
            Some(Ok((value, kind))) => Ok(Typed::unchecked(Cow::Borrowed(value), kind)),
            Some(Err(error)) => Err(error.clone()),
            None => {
                self.unknown.set(true);
                Err(ConvertError::Failed(format!("Go did not convert {} to {version}", object.value())))
            }
        }
    }
}

/// The types of the Go tests, by schema and name.
#[derive(Default)]
struct Library {
    documents: HashMap<String, Value>,
    types: HashMap<(String, String), ObjectType>,
}

fn text<'a>(call: &'a Value, name: &str) -> &'a str {
    call[name].as_str().unwrap_or_default()
}

fn set(call: &Value, name: &str) -> Result<Set> {
    Set::from_json(text(call, name).as_bytes()).with_context(|| format!("the set {name}"))
}

fn key(typed: &Value) -> (String, String) {
    (text(&typed["type"], "schema").to_owned(), text(&typed["type"], "name").to_owned())
}

impl Library {
    /// Builds the types that a call mentions.
    fn learn(&mut self, call: &Value) -> Result<()> {
        match call {
            Value::Object(map) => {
                if let (Some(schema), Some(name)) = (map.get("schema").and_then(Value::as_str), map.get("name")) {
                    let name = name.as_str().unwrap_or_default();
                    let key = (schema.to_owned(), name.to_owned());
                    if !self.types.contains_key(&key) {
                        let document = self.documents.get(schema).context("a schema that is not known")?;
                        self.types.insert(key, ObjectType::of_document(document, name)?);
                    }
                }
                map.values().try_for_each(|value| self.learn(value))
            }
            Value::Array(items) => items.iter().try_for_each(|item| self.learn(item)),
            _ => Ok(()),
        }
    }

    fn kind(&self, typed: &Value) -> Result<&ObjectType> {
        self.types.get(&key(typed)).context("a type that is not known")
    }

    fn typed<'a>(&'a self, typed: &'a Value) -> Result<Typed<'a>> {
        Ok(Typed::unchecked(Cow::Borrowed(&typed["value"]), self.kind(typed)?))
    }
}

/// Values are the same when numbers are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// Values in texts are those of a YAML library in Go, so only what comes before them is compared.
fn same_error(ours: Option<&str>, theirs: Option<&str>) -> bool {
    let lines = |text: &str| {
        let mut lines: Vec<_> =
            text.lines().map(|line| line.split(", got ").next().unwrap_or_default().to_owned()).collect();
        lines.sort();
        lines
    };
    match (ours, theirs) {
        // The first unknown field ends Go's walk of a map, and Go walks maps in any order.
        (Some(ours), Some(theirs)) if ours.contains(UNKNOWN) => theirs.contains(UNKNOWN),
        (Some(ours), Some(theirs)) => lines(ours) == lines(theirs),
        (ours, theirs) => ours.is_none() && theirs.is_none(),
    }
}

fn check(what: &str, same: bool, ours: &dyn std::fmt::Debug) -> Result<()> {
    ensure!(same, "{what}: ours is {ours:?}");
    Ok(())
}

fn check_set(what: &str, ours: &Set, call: &Value) -> Result<()> {
    check(what, ours.to_json() == text(call, what), &ours.to_json())
}

fn check_error<E: ToString>(ours: Option<&E>, call: &Value) -> Result<bool> {
    let ours = ours.map(ToString::to_string);
    check("error", same_error(ours.as_deref(), call["error"].as_str()), &ours)?;
    Ok(ours.is_some())
}

fn check_call(library: &Library, call: &Value) -> Result<Checked> {
    match text(call, "call") {
        "update" | "apply" => check_update(library, call),
        _ => check_pure(library, call).map(|()| Checked::Compared),
    }
}

fn check_pure(library: &Library, call: &Value) -> Result<()> {
    match text(call, "call") {
        "union" => check_set("out", &set(call, "a")?.union(&set(call, "b")?), call),
        "intersection" => check_set("out", &set(call, "a")?.intersection(&set(call, "b")?), call),
        "difference" => check_set("out", &set(call, "a")?.difference(&set(call, "b")?), call),
        "recursiveDifference" => check_set("out", &set(call, "a")?.recursive_difference(&set(call, "b")?), call),
        "leaves" => check_set("out", &set(call, "a")?.leaves(), call),
        "named" => check_set("out", &library.kind(call)?.with_named_fields(&set(call, "a")?), call),
        "has" => {
            let (own, mut has) = (set(call, "a")?, false);
            set(call, "b")?.for_each(&mut |path| has = own.has(path));
            check("out", call["out"] == has, &has)
        }
        "fromJSON" => {
            let ours = Set::from_json(text(call, "text").as_bytes());
            check("failed", call["failed"] == ours.is_err(), &ours)?;
            ours.map_or(Ok(()), |ours| check_set("out", &ours, call))
        }
        "element" => {
            let ours = PathElement::from_wire(text(call, "text"));
            check("failed", call["failed"] == ours.is_err(), &ours)?;
            let ours = ours.ok().flatten();
            check("out", ours.as_ref().map(PathElement::to_wire).as_deref() == call["out"].as_str(), &ours)?;
            // Go shows maps in any order.
            if text(call, "text").matches('{').count() > 1 {
                return Ok(());
            }
            check("shown", ours.as_ref().map(ToString::to_string).as_deref() == call["shown"].as_str(), &ours)
        }
        _ => check_typed(library, call),
    }
}

fn check_typed(library: &Library, call: &Value) -> Result<()> {
    let typed = library.typed(call)?;
    let other = Typed::unchecked(Cow::Borrowed(&call["other"]), typed.kind());
    match text(call, "call") {
        "validate" => {
            let duplicates = if call["duplicates"] == true { Duplicates::Allowed } else { Duplicates::Refused };
            let ours = Typed::new(Cow::Borrowed(&call["value"]), typed.kind(), duplicates);
            check_error(ours.err().as_ref(), call).map(|_| ())
        }
        "fieldSet" => {
            let ours = typed.field_set();
            check_error(ours.as_ref().err(), call)?;
            ours.map_or(Ok(()), |ours| check_set("out", &ours, call))
        }
        "merge" => {
            let ours = typed.merge(&other);
            check_error(ours.as_ref().err(), call)?;
            ours.map_or(Ok(()), |ours| check("out", same(ours.value(), &call["out"]), ours.value()))
        }
        "compare" => {
            let ours = typed.compare(&other);
            if check_error(ours.as_ref().err(), call)? {
                return Ok(());
            }
            let ours = ours?;
            check_set("removed", &ours.removed, call)?;
            check_set("modified", &ours.modified, call)?;
            check_set("added", &ours.added, call)
        }
        "remove" => {
            let ours = typed.remove_items(&set(call, "items")?);
            check("out", same(ours.value(), &call["out"]), ours.value())
        }
        "extract" => {
            let keys = if call["keys"] == true { KeyFields::Added } else { KeyFields::AsListed };
            let ours = typed.extract_items(&set(call, "items")?, keys);
            check("out", same(ours.value(), &call["out"]), ours.value())
        }
        "reconcile" => {
            let ours = typed.reconcile(&set(call, "items")?);
            check_error(ours.as_ref().err(), call)?;
            match ours.map_err(|error| anyhow!(error))? {
                Some(ours) => check_set("out", &ours, call),
                None => check("out", call["out"].is_null() || call["out"] == call["items"], &"nothing"),
            }
        }
        other => bail!("a call that is not known: {other}"),
    }
}

fn managers(value: &Value) -> Result<Managers> {
    let own = |(manager, own): (&String, &Value)| {
        let operation = if own["applied"] == true { Operation::Apply } else { Operation::Update };
        let set = set(own, "set")?.into();
        Ok((manager.clone(), VersionedSet { set, version: text(own, "version").into(), operation }))
    };
    value.as_object().into_iter().flatten().map(own).collect()
}

fn check_update(library: &Library, call: &Value) -> Result<Checked> {
    let mut made = HashMap::new();
    for conversion in call["conversions"].as_array().into_iter().flatten() {
        let error = conversion["error"].as_str().map(str::to_owned);
        let outcome = match (error, conversion["missing"] == true) {
            (Some(error), true) => Err(ConvertError::MissingVersion(error)),
            (Some(error), false) => Err(ConvertError::Failed(error)),
            (None, _) => Ok((conversion["out"]["value"].clone(), library.kind(&conversion["out"])?)),
        };
        made.insert((conversion["from"]["value"].to_string(), text(conversion, "version").to_owned()), outcome);
    }
    let converter = Replay { made, unknown: Cell::new(false) };
    let ignored = call["ignored"].as_object().into_iter().flatten();
    let ignored: BTreeMap<String, Set> =
        ignored.map(|(version, _)| Ok((version.clone(), set(&call["ignored"], version)?))).collect::<Result<_>>()?;
    let noop = if call["input"] == true { Noop::Input } else { Noop::Nothing };
    let updater = Updater { converter: &converter, ignored: &ignored, noop };
    let (live, sent) = (library.typed(&call["live"])?, library.typed(&call["sent"])?);
    let (before, version, manager) = (managers(&call["managers"])?, text(call, "version"), text(call, "manager"));
    let outcome = if text(call, "call") == "update" {
        updater.update(&live, &sent, version, &before, manager).map(|after| (Some(sent.clone()), after))
    } else {
        let force = if call["force"] == true { Force::Take } else { Force::Refuse };
        updater.apply(&live, &sent, version, &before, manager, force)
    };
    let versions: BTreeSet<&str> = before.values().map(|own| own.version.as_ref()).chain([version]).collect();
    if converter.unknown.get() && versions.len() > 2 {
        return Ok(Checked::AnotherOrder);
    }
    let checked = match outcome {
        Err(UpdateError::Conflicts(conflicts)) => {
            let show = |manager: &str, path: &str| format!("{manager} {path}");
            let mut ours: Vec<_> =
                conflicts.0.iter().map(|conflict| show(&conflict.manager, &path_text(&conflict.path))).collect();
            let theirs = call["conflicts"].as_array().into_iter().flatten();
            let mut theirs: Vec<_> = theirs
                .map(|pair| show(pair[0].as_str().unwrap_or_default(), pair[1].as_str().unwrap_or_default()))
                .collect();
            ours.sort();
            theirs.sort();
            check("conflicts", ours == theirs, &ours)
        }
        Err(UpdateError::Failed(error)) => check_error(Some(&error), call).map(|_| ()),
        Ok((object, after)) => {
            check_error(None::<&String>, call)?;
            check("managers", after == managers(&call["after"])?, &after)?;
            let ours = object.as_ref().map(Typed::value);
            let theirs = call.get("out").map(|out| &out["value"]);
            let equal = match (ours, theirs) {
                (Some(ours), Some(theirs)) => same(ours, theirs),
                (ours, theirs) => ours.is_none() && theirs.is_none(),
            };
            check("object", equal, &ours)
        }
    };
    checked.map(|()| Checked::Compared)
}

#[test]
fn the_calls_of_the_tests_of_structured_merge_diff_have_the_outcome_they_have_in_go() -> Result<()> {
    let (mut library, mut counts, mut wrong) = (Library::default(), BTreeMap::new(), Vec::new());
    let mut another_order = 0;
    merge_oracle::each_line(&["calls"], |call| {
        let name = text(&call, "call").to_owned();
        *counts.entry(name.clone()).or_insert(0) += 1;
        match name.as_str() {
            "schema" => {
                library.documents.insert(text(&call, "id").to_owned(), call["document"].clone());
                return Ok(());
            }
            // Filters that include serve built-in resources alone.
            "skipped" => return Ok(()),
            _ => {}
        }
        // Go notices broken types when they are used, ours when they are read.
        let checked = match library.learn(&call) {
            Err(error) if text(&call, "error").ends_with(&error.to_string()) => Ok(Checked::Compared),
            learnt => learnt.and_then(|()| check_call(&library, &call)),
        };
        match checked {
            Ok(checked) => another_order += usize::from(checked == Checked::AnotherOrder),
            Err(error) => wrong.push(format!("{error:#}\n{call}")),
        }
        Ok(())
    })?;
    println!("{counts:?}: {} differences, {another_order} took versions in another order", wrong.len());
    ensure!(another_order <= ANOTHER_ORDER_MAX, "{another_order} calls were not compared");
    ensure!(counts.values().sum::<usize>() > 1000, "the oracle has recorded too little");
    wrong.truncate(SHOWN_MAX);
    ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    Ok(())
}
