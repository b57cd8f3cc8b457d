//! What update and patch share: read the current object, change it, admit it, write it.
//!
//! Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Update).

use kindsmith_schema::{
    convert::release::is_suspended,
    kind::{KindBackend, Typing},
};
use serde_json::Value;

use crate::{
    encode::status::{ApiError, Cause, Named},
    endpoints::context::Context,
    object::{
        admit,
        admitted::{Admitted, leave_out_flux_finalizers},
        metadata::{
            self,
            owners::{self, Noticed},
        },
        ownership::keep_times,
    },
    request::WriteOptions,
    storage::{
        host::WriteTarget,
        kind_store::{Read, Written},
    },
};

/// How often a write that the client did not tie to a revision is tried anew when somebody else was faster.
const CONFLICT_TRIES: usize = 5;

/// The next state of an object, and what strict decoding has against it.
pub(super) struct Next {
    /// The object as the client wants it.
    pub(super) object: Value,
    /// Texts such as `duplicate field "spec.a"`.
    pub(super) complaints: Vec<String>,
    /// Whether its owners are known.
    pub(super) owners: Owners,
    /// The object as errors show it, where metadata held what there is no room for.
    pub(super) shown: Option<Value>,
}

/// Whether who owns the fields of an object is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owners {
    /// What the client changes is its own from now on.
    ByUpdate,
    /// They are in the object.
    Settled,
}

/// Where an object was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReadFrom {
    /// The watch brought it: it may be old.
    Memory,
    /// The host was asked.
    Host,
}

/// Why a round came to nothing.
enum Failed {
    /// The change is refused, as the object is.
    Refused(ApiError),
    /// The host has another state than the one that was read.
    Outdated(ApiError),
    /// The host refuses the write, or cannot be reached.
    Host(ApiError),
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

/// Changes the object that the path names. `fault` tells what is wrong with the shape of an object.
///
/// What is remembered is tried first; only the host's agreement, or a state that the host was asked for, makes an answer.
///
/// Source: k8s.io/apiserver/pkg/storage/etcd3/store.go (GuaranteedUpdate, `origStateIsCurrent`).
pub(super) async fn run(
    context: &Context,
    options: &WriteOptions,
    change: impl Fn(&Value) -> Result<Next, ApiError>,
    fault: impl Fn(&Value, &str) -> ApiError,
) -> Result<Value, ApiError> {
    let named = context.target_named();
    let mut remembered = context.store().remembered(&context.projection, context.namespace(), context.name());
    let mut tries = 0;
    loop {
        let warned = context.warned();
        let (read, from) = match remembered.take() {
            Some(read) => (read, ReadFrom::Memory),
            None => {
                tries += 1;
                let read = context.store().get(&context.projection, context.namespace(), context.name(), &named);
                (read.await?, ReadFrom::Host)
            }
        };
        match (round(context, options, &change, &fault, &read).await, from) {
            (Ok(Written::Changed(written)), _) | (Ok(Written::Unchanged(written)), ReadFrom::Host) => {
                return Ok(written);
            }
            (Ok(Written::Unchanged(_)) | Err(Failed::Refused(_) | Failed::Outdated(_)), ReadFrom::Memory) => {
                context.take_back(warned);
            }
            // Whoever named a revision was told in the round when it is not the current one. That it moved since the read
            // is a race of ours to settle: the next round compares anew.
            (Err(Failed::Outdated(_)), ReadFrom::Host) if tries < CONFLICT_TRIES => {}
            (Err(Failed::Refused(error) | Failed::Outdated(error) | Failed::Host(error)), _) => return Err(error),
        }
    }
}

/// Changes an object as it was read, admits it, and writes it.
async fn round(
    context: &Context,
    options: &WriteOptions,
    change: impl Fn(&Value) -> Result<Next, ApiError>,
    fault: impl Fn(&Value, &str) -> ApiError,
    read: &Read,
) -> Result<Written, Failed> {
    let version = context.projection.version();
    let named = context.target_named();
    let ownership = context.ownership(options);
    let Next { mut object, mut complaints, owners: known, shown } = change(&read.instance)?;
    admit::check_reserved(&object, context.projection.kind())?;
    // An object whose owners are known was made from one that had been shaped.
    if known == Owners::ByUpdate {
        let before = shown.unwrap_or_else(|| object.clone());
        let (kind, expected) = (context.projection.kind(), context.expected());
        // A patch may name another version or kind, which is refused below.
        let dropped = admit::shape_as_sent(&mut object, Some(&read.instance), kind, version, expected);
        let dropped = dropped.map_err(|error| fault(&before, &error.to_string()))?;
        complaints.extend(dropped.iter().map(|path| format!("unknown field \"{path}\"")));
        context.judge_complaints(complaints, options.field_validation, |text| fault(&before, &text))?;
    }
    metadata::settle_namespace(&mut object, context.namespace())?;
    metadata::check_name(&object, context.name())?;
    if known == Owners::ByUpdate {
        let kind = context.projection.kind();
        context.warn(leave_out_flux_finalizers(&mut object, Some(&read.instance), kind));
        object = ownership.updated(&read.instance, object);
    }
    context.warn(owners::dedupe(&mut object, Noticed::AfterPatch));
    // Built-in types can be updated whatever their revision (AllowUnconditionalUpdate).
    if metadata::revision(&object)? == 0 && context.typing() == Typing::Custom {
        // As in Kubernetes, the resource stands where the kind should.
        let kind = named.resource.clone();
        return Err(Failed::Refused(ApiError::Invalid {
            named: Named { kind, ..named },
            causes: vec![Cause {
                reason: "FieldValueInvalid".to_owned(),
                message: "Invalid value: 0: must be specified for an update".to_owned(),
                field: "metadata.resourceVersion".to_owned(),
            }],
        }));
    }
    context.store().follow_status(&mut object, read).await;
    metadata::check_revision(&object, &read.instance, &named)?;
    if object.get("apiVersion").and_then(Value::as_str).unwrap_or_default().is_empty() {
        let missing = "Object 'apiVersion' is missing in 'object has no apiVersion field'";
        return Err(Failed::Refused(ApiError::Internal(missing.to_owned())));
    }
    metadata::prepare_update(&mut object, &read.instance);
    let kind = context.projection.kind();
    admit::keep_untargeted(&mut object, Some(&read.instance), kind, version, context.write_target);
    keep_times(&mut object, &read.instance);
    let (admitted, forgiven) = Admitted::next(object, &read.instance, context.write_target, context.rules())?;
    context.warn(forgiven);
    if context.write_target == WriteTarget::Main && context.typing() == Typing::Custom {
        context.warn(metadata::rules::finalizer_warnings(admitted.object(), Some(&read.instance)));
    }
    let host_options = context.write_options(options);
    let written =
        context.store().update(&context.projection, read, admitted, context.write_target, &host_options, &named).await;
    if let Ok(Written::Changed(written)) = &written {
        context.warn(waits_for_resumption(context, read, written));
    }
    written.map_err(|error| match error {
        ApiError::Conflict { .. } => Failed::Outdated(error),
        error => Failed::Host(error),
    })
}

/// The warning that a change is kept and not applied, where it is so.
fn waits_for_resumption(context: &Context, read: &Read, written: &Value) -> Option<String> {
    let KindBackend::Release(template) = &context.projection.kind().backend else { return None };
    let is_changed = written.get("spec") != read.instance.get("spec");
    (is_changed && is_suspended(&read.host)).then(|| template.change_waits(context.name()))
}
