//! Our answers: `kindsmith-schema`, called in the order in which a request passes it.

use anyhow::{Context, Result};
use kindsmith_schema::{
    decode,
    field::{FieldError, FieldPath},
    structural::{self, Against, OtherFaults, Schema},
};
use serde_json::Value;

use super::{
    answer::{Answer, Cause, Verdict, comparable},
    case::{Status, Via},
};

/// Where kube-apiserver says that the schema of a definition with one version stands.
const SCHEMA_PATH: [&str; 3] = ["spec", "validation", "openAPIV3Schema"];

/// Compiles a schema.
pub(super) fn compile(schema: &Value) -> Result<Result<Schema, Answer>> {
    let at = SCHEMA_PATH.iter().fold(FieldPath::root(), |at, name| at.child(name));
    let (schema, _) = decode::json_with_duplicates(schema.to_string().as_bytes()).context("reading a schema")?;
    Ok(Schema::compile(&schema, &at).map_err(|errors| Answer::of(Verdict::Invalid(causes(&errors)))))
}

/// Creates an object.
pub(super) fn create(schema: &Schema, text: &str, status: Status) -> Answer {
    let sent = match Sent::read(schema, text) {
        Ok(sent) => sent,
        Err(answer) => return answer,
    };
    sent.judged(|object| {
        if status == Status::Subresource {
            remove(object, "status");
        }
        schema.judge(object, Against::Nothing, OtherFaults::default())
    })
}

/// Replaces an object.
pub(super) fn update(schema: &Schema, old: &Value, text: &str, status: Status, via: Via) -> Answer {
    let sent = match Sent::read(schema, text) {
        Ok(sent) => sent,
        Err(answer) => return answer,
    };
    sent.judged(|object| match (via, status) {
        (Via::Status, _) => {
            let mut whole = old.clone();
            copy(object, &mut whole, "status");
            *object = whole;
            schema.judge(object, Against::Status(old), OtherFaults::default())
        }
        (Via::Main, Status::Subresource) => {
            copy(old, object, "status");
            schema.judge(object, Against::Object(old), OtherFaults::default())
        }
        (Via::Main, Status::Field) => schema.judge(object, Against::Object(old), OtherFaults::default()),
    })
}

/// What a client sent, pruned and with defaults.
struct Sent {
    object: Value,
    complaints: Vec<String>,
}

impl Sent {
    fn read(schema: &Schema, text: &str) -> Result<Sent, Answer> {
        let decoded = decode::json_with_duplicates(text.as_bytes());
        let (mut object, duplicates) = decoded.map_err(|error| Answer::of(Verdict::Malformed(error.to_string())))?;
        let mut complaints: Vec<_> = duplicates.iter().map(|path| format!("duplicate field {path:?}")).collect();
        complaints.extend(schema.prune(&mut object).iter().map(|path| format!("unknown field \"{path}\"")));
        let coerced = schema.coerce(&mut object);
        let found = coerced.map_err(|error| Answer::of(Verdict::Malformed(error.to_string())))?;
        complaints.extend(found.iter().map(|path| format!("unknown field \"{path}\"")));
        schema.default(&mut object);
        Ok(Sent { object, complaints })
    }

    fn judged(mut self, validate: impl FnOnce(&mut Value) -> structural::Verdict) -> Answer {
        let judged = validate(&mut self.object);
        let verdict = match judged.errors.as_slice() {
            [] => Verdict::Accepted(comparable(self.object)),
            errors => Verdict::Invalid(causes(errors)),
        };
        let strict = (!self.complaints.is_empty()).then(|| self.complaints.join(", "));
        // A header cannot hold control characters, so kube-apiserver sends no warning that has one.
        let sendable = |text: &String| !text.contains(|c: char| c.is_ascii_control());
        let forgiven = judged.forgiven.iter().map(ToString::to_string);
        Answer { verdict, warnings: self.complaints.into_iter().chain(forgiven).filter(sendable).collect(), strict }
    }
}

fn remove(object: &mut Value, name: &str) {
    if let Some(map) = object.as_object_mut() {
        map.remove(name);
    }
}

fn copy(from: &Value, to: &mut Value, name: &str) {
    remove(to, name);
    if let (Some(value), Some(map)) = (from.get(name), to.as_object_mut()) {
        map.insert(name.to_owned(), value.clone());
    }
}

fn causes(errors: &[FieldError]) -> Vec<Cause> {
    let cause = |error: &FieldError| Cause {
        reason: error.kind.reason().to_owned(),
        field: error.field.clone(),
        message: error.detail.clone(),
    };
    errors.iter().map(cause).collect()
}
