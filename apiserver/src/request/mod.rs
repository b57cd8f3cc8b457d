//! What a request asks for, as typed values: pure parsing of path, query, media types and options.
//!
//! Nothing here knows which kinds are served. A request is parsed before its sender is known, because audit, deadlines
//! and the bodies of refusals need the result; what a kind allows is judged later, by the endpoints.
//!
//! - **Flow**: [`target`] (path and method) and [`request_deadline`] for every request, then
//!   [`Representation::negotiate`] and the options of the verb: [`GetOptions`], [`ListOptions`], [`WriteOptions`],
//!   [`DeleteOptions`].
//! - **Guarantees**: no input panics; what is accepted, and the text of every refusal, follow `k8s.io/apiserver` and
//!   `k8s.io/apimachinery` v0.37.
//! - **Limits**: [`QUERY_BYTES_MAX`], [`QUERY_PARAMETERS_MAX`], [`ACCEPT_CLAUSES_MAX`].

mod accept;
mod body;
pub mod continue_token;
mod deadline;
mod delete_options;
mod error;
mod field_selector;
mod go_text;
mod label_parser;
mod label_selector;
mod label_syntax;
mod list_options;
mod probe;
mod query;
mod representation;
mod resource_version;
mod segment;
mod status_format;
mod target;
mod write_options;

pub use accept::{ACCEPT_CLAUSES_MAX, most_wanted, names_one};
pub use body::{BodyFormat, MEDIA_TYPES, PatchType};
pub use continue_token::{ContinueRevision, ContinueToken};
pub use deadline::request_deadline;
pub use delete_options::{Deferred, DeleteOptions, Propagation, Unreadable};
pub use error::{
    BadRequest, Cause, Invalid, NegotiationError, NotAcceptable, OPTIONS_GROUP, OptionsError, UnsupportedMediaType,
};
pub use field_selector::{FieldOperator, FieldRequirement, FieldSelector};
pub use go_text::is_printable;
pub use label_selector::{LabelOperator, LabelRequirement, LabelSelector};
pub use list_options::{Bookmarks, InitialEvents, ListOptions, authorization_selectors};
pub use probe::ProbeOptions;
pub use query::{QUERY_BYTES_MAX, QUERY_PARAMETERS_MAX};
pub use representation::{As, Expected, Format, IncludeObject, MetaVersion, Pretty, Representation};
pub use resource_version::{ResourceVersion, ResourceVersionMatch};
pub use segment::{Name, NameError, Namespace};
pub use status_format::StatusFormat;
pub use target::{ResourceTarget, Target, Verb, target};
pub use write_options::{DryRun, FIELD_MANAGER_BYTES_MAX, FieldValidation, Force, GetOptions, WriteOptions};
