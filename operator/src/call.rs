//! What all calls to the cluster have in common: a deadline, and the name that they write under.

use std::{future::Future, time::Duration};

use crate::error::ActionError;

/// The field manager of all our writes.
pub(crate) const FIELD_MANAGER: &str = "kindsmith-operator";

/// How long one call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(15);

/// A call with a deadline.
pub(crate) async fn within<T>(
    call: impl Future<Output = Result<T, kube::Error>>,
    named: impl FnOnce(kube::Error) -> ActionError,
) -> Result<T, ActionError> {
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Ok(outcome) => outcome.map_err(named),
        Err(_) => Err(ActionError::Deadline(CALL_DEADLINE)),
    }
}

/// Whether the cluster answered with that code.
pub(crate) fn is_status(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}
