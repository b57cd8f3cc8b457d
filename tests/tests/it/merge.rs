//! Server-side apply: ours against the Go implementation, on the same requests.

use std::collections::BTreeMap;
use std::env;

use anyhow::{Context, Result, anyhow, ensure};
use kindsmith_merge::{ApplyError, By, ConvertError, FieldManager, Force, Kinds, ObjectType, Set};
use kindsmith_schema::field::FieldPath;
use kindsmith_schema::structural::Schema;
use kindsmith_tests::merge_oracle;
use serde::Deserialize;
use serde_json::{Value, json};

/// How many sequences are compared, unless the environment says otherwise.
const SEQUENCES: &str = "200";

const GROUP: &str = "g.example";
const KIND: &str = "Thing";

/// How many differences are shown.
const SHOWN_MAX: usize = 3;

#[derive(Deserialize)]
struct Sequence {
    schemas: Vec<Value>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    schema: usize,
    operation: String,
    manager: String,
    version: String,
    subresource: String,
    now: String,
    live: Value,
    object: Value,
    result: Option<Value>,
    error: Option<Failure>,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Failure {
    code: u16,
    message: String,
    #[serde(default)]
    causes: Vec<Cause>,
}

#[derive(Deserialize, Debug, PartialEq, PartialOrd, Eq, Ord)]
struct Cause {
    reason: String,
    message: String,
    field: String,
}

/// A kind with two versions that differ by name alone.
struct Twins {
    schema: Schema,
    kind: ObjectType,
}

impl Twins {
    fn new(schema: &Value) -> Result<Self> {
        let schema = Schema::compile(schema, &FieldPath::root()).map_err(|errors| anyhow!("{errors:?}"))?;
        Ok(Self { kind: ObjectType::of_schema(&schema.raw()), schema })
    }
}

impl Kinds for Twins {
    fn object_type(&self, api_version: &str) -> Option<&ObjectType> {
        (api_version == "g.example/v1" || api_version == "g.example/v2").then_some(&self.kind)
    }

    fn convert(&self, object: &Value, api_version: &str) -> Result<Value, ConvertError> {
        if self.object_type(api_version).is_none() {
            let error = format!("request to convert CR to an invalid group/version: {api_version}");
            return Err(ConvertError::Failed(error));
        }
        let mut object = object.clone();
        object["apiVersion"] = api_version.into();
        Ok(object)
    }

    fn default(&self, object: &mut Value) {
        self.schema.fill_in(object);
    }
}

/// What the endpoint of a custom resource resets.
fn reset_fields(subresource: &str) -> BTreeMap<String, Set> {
    let version = |name: &str| format!("{GROUP}/{name}");
    if subresource == "status" {
        let set = Set::of_fields(&["metadata"]).union(&Set::of_fields(&["spec"]));
        return [(version("v1"), set.clone()), (version("v2"), set)].into();
    }
    [(version("v1"), Set::of_fields(&["status"]))].into()
}

fn serve(kinds: &Twins, step: &Step) -> Result<Result<Value, Failure>> {
    let (api_version, reset) = (format!("{GROUP}/{}", step.version), reset_fields(&step.subresource));
    let manager =
        FieldManager { kinds, api_version: &api_version, kind: KIND, subresource: &step.subresource, reset: &reset };
    let by = By { manager: &step.manager, now: step.now.parse()? };
    let force = match step.operation.as_str() {
        "update" => return Ok(Ok(manager.update(&step.live, step.object.clone(), by).object)),
        "force" => Force::Take,
        _ => Force::Refuse,
    };
    Ok(manager.apply(&step.live, &step.object, by, force).map_err(|error| {
        let code = match &error {
            ApplyError::BadRequest(_) => 400,
            ApplyError::Conflict(_) => 409,
            ApplyError::Internal(_) => 500,
        };
        let causes = match &error {
            ApplyError::Conflict(conflicts) => conflicts.causes(),
            _ => Vec::new(),
        };
        let cause = |cause: kindsmith_merge::ConflictCause| Cause {
            reason: "FieldManagerConflict".to_owned(),
            message: cause.message,
            field: cause.field,
        };
        Failure { code, message: error.to_string(), causes: causes.into_iter().map(cause).collect() }
    }))
}

/// Go walks maps in any order, so the order of what it complains about is any.
fn ordered(mut failure: Failure) -> Failure {
    failure.causes.sort();
    if failure.message.contains("errors:") {
        let (before, errors) = failure.message.split_once("errors:").unwrap_or_default();
        let mut lines: Vec<&str> = errors.lines().collect();
        lines.sort_unstable();
        failure.message = format!("{before}errors:{}", lines.join("\n"));
    }
    failure
}

/// The first unknown field ends Go's walk of a map, so which errors it finds besides depends on chance.
fn same(ours: &Result<Value, Failure>, theirs: &Result<Value, Failure>) -> bool {
    const UNKNOWN: &str = "field not declared in schema";
    match (ours, theirs) {
        (Err(ours), Err(theirs)) if ours.message.contains(UNKNOWN) && theirs.message.contains(UNKNOWN) => {
            let until = |message: &str| message.find("): ").map(|at| message[..at].to_owned());
            ours.code == theirs.code && until(&ours.message) == until(&theirs.message)
        }
        _ => ours == theirs,
    }
}

fn without_version(mut object: Value) -> Value {
    object["apiVersion"] = json!(null);
    object
}

#[test]
fn random_requests_by_many_managers_have_the_outcome_they_have_in_go() -> Result<()> {
    let count = env::var("KINDSMITH_MERGE_SEQUENCES").unwrap_or_else(|_| SEQUENCES.to_owned());
    let seed = env::var("KINDSMITH_MERGE_SEED").unwrap_or_else(|_| "1".to_owned());
    let (mut sequences, mut steps, mut failures, mut differences) = (0, 0, 0, Vec::new());
    merge_oracle::each_line(&["sequences", &seed, &count], |line| {
        let sequence: Sequence = serde_json::from_value(line)?;
        let kinds = sequence.schemas.iter().map(Twins::new).collect::<Result<Vec<_>>>()?;
        sequences += 1;
        for (at, step) in sequence.steps.into_iter().enumerate() {
            steps += 1;
            let ours = serve(&kinds[step.schema], &step)?.map(without_version).map_err(ordered);
            failures += usize::from(ours.is_err());
            let theirs = match (&step.result, step.error) {
                (Some(result), _) => Ok(without_version(result.clone())),
                (None, error) => Err(ordered(error.context("a step without an outcome")?)),
            };
            if !same(&ours, &theirs) {
                let show = |outcome: &Result<Value, Failure>| match outcome {
                    Ok(object) => object.to_string(),
                    Err(failure) => format!("{failure:#?}"),
                };
                differences.push(format!(
                    "sequence {sequences} step {at}: {} by {:?} {:?}\nschema {}\nlive {}\nobject {}\nours   {}\ntheirs {}",
                    step.operation,
                    step.manager,
                    step.subresource,
                    sequence.schemas[step.schema],
                    step.live,
                    step.object,
                    show(&ours),
                    show(&theirs),
                ));
            }
        }
        Ok(())
    })?;
    println!("{sequences} sequences, {steps} requests ({failures} refused), {} differences", differences.len());
    ensure!(sequences > 0, "the oracle has made no sequence");
    differences.truncate(SHOWN_MAX);
    ensure!(differences.is_empty(), "{}", differences.join("\n\n"));
    Ok(())
}
