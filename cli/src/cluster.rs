//! The cluster that a command asks: which one it is, and how long it may take to answer.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

/// How long one question may take.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// Returns a client of the cluster that a flag names, or of the one that kubectl would use; inside of a pod, of its own.
///
/// # Errors
/// No cluster is named, or the kubeconfig cannot be used.
pub(crate) async fn client(kubeconfig: Option<PathBuf>) -> anyhow::Result<Client> {
    Client::try_from(config(kubeconfig).await?).context("the cluster's client cannot be set up")
}

/// As [`client`]; what fails is not tried again behind the back of who counts the time.
///
/// # Errors
/// As [`client`].
pub(crate) async fn prompt_client(kubeconfig: Option<PathBuf>) -> anyhow::Result<Client> {
    let mut config = config(kubeconfig).await?;
    config.default_retry = false;
    Client::try_from(config).context("the cluster's client cannot be set up")
}

async fn config(kubeconfig: Option<PathBuf>) -> anyhow::Result<Config> {
    match kubeconfig {
        None => Config::infer().await.context("no cluster is named; name it with --kubeconfig FILE"),
        Some(file) => {
            let named = || format!("{} cannot be used", file.display());
            let kubeconfig = Kubeconfig::read_from(&file).with_context(named)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.with_context(named)
        }
    }
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// There is no such thing, or no such kind of things.
    #[error("it is not there")]
    Missing,
    /// Who asks may not know.
    #[error("{0}")]
    Forbidden(String),
    /// The cluster refuses, in these words.
    #[error("{0}")]
    Refused(String),
    /// The object is another than the one that was seen.
    #[error("it was changed meanwhile")]
    Conflict,
    /// There was no answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// The cluster is not reached.
    #[error("the cluster is not reached: {0}")]
    Unreached(String),
}

impl From<kube::Error> for Unanswered {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Self::Missing,
                401 | 403 => Self::Forbidden(status.message),
                409 => Self::Conflict,
                _ if status.message.is_empty() => Self::Refused(format!("status {}", status.code)),
                _ => Self::Refused(status.message),
            },
            other => Self::Unreached(innermost(&other)),
        }
    }
}

/// The words of the cause: those around it say through which layers it came.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Asks one question, until [`CALL_DEADLINE`] has passed or `end` has come.
///
/// # Errors
/// There is no answer.
pub(crate) async fn ask<T>(end: Instant, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Unanswered> {
    let left = end.saturating_duration_since(Instant::now()).min(CALL_DEADLINE);
    match tokio::time::timeout(left, call).await {
        Ok(answer) => answer.map_err(Unanswered::from),
        Err(_) => Err(Unanswered::Late(left)),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn an_error_of_the_cluster_is_told_in_its_own_words() {
        let told = |code| {
            let status = Status { code, message: "widgets is not for you".to_owned(), ..Status::default() };
            Unanswered::from(kube::Error::Api(Box::new(status)))
        };
        assert_eq!(told(404), Unanswered::Missing);
        assert_eq!(told(409), Unanswered::Conflict);
        assert_eq!(told(403).to_string(), "widgets is not for you");
        assert_eq!(told(503), Unanswered::Refused("widgets is not for you".to_owned()));
    }

    #[tokio::test]
    async fn a_question_that_hangs_ends_with_its_time() {
        let end = Instant::now() + Duration::from_millis(10);
        let answer = ask::<()>(end, std::future::pending()).await;
        assert!(matches!(answer, Err(Unanswered::Late(_))), "{answer:?}");
    }
}
