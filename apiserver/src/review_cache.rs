//! What the cluster answered to reviews of tokens and of rights: kept for a while, and asked for once by all who wait.

use std::{hash::Hash, sync::Arc, time::Duration};

use moka::future::Cache;

/// A cluster that counts the reviews it is asked for.
#[cfg(test)]
pub(crate) mod counting;

/// How long an answer holds.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(10);

/// How long it holds that there was no answer.
const FAILURE_AGE_MAX: Duration = Duration::from_secs(1);

/// Why there is no answer.
pub(crate) trait Failure: Clone + Send + Sync + 'static {
    /// Reports whether the cluster failed to answer, so that others need not ask again at once.
    fn is_no_answer(&self) -> bool;
}

/// Answers by their questions.
pub(crate) struct ReviewCache<Q, A, F> {
    answers: Cache<Q, A>,
    failures: Cache<Q, F>,
}

impl<Q, A, F> ReviewCache<Q, A, F>
where
    Q: Clone + Eq + Hash + Send + Sync + 'static,
    A: Clone + Send + Sync + 'static,
    F: Failure,
{
    /// Returns a cache of at most so many answers.
    pub(crate) fn new(answers_max: u64) -> Self {
        Self {
            answers: Cache::builder().max_capacity(answers_max).time_to_live(ANSWER_AGE_MAX).build(),
            failures: Cache::builder().max_capacity(answers_max).time_to_live(FAILURE_AGE_MAX).build(),
        }
    }

    /// Returns the answer to a question; `ask` is run where none is kept, and once for all who ask the same meanwhile.
    ///
    /// # Errors
    /// What `ask` failed with. That there was no answer is kept for a moment.
    pub(crate) async fn answer(&self, question: Q, ask: impl Future<Output = Result<A, F>>) -> Result<A, F> {
        if let Some(failure) = self.failures.get(&question).await {
            return Err(failure);
        }
        match self.answers.try_get_with_by_ref(&question, ask).await {
            Ok(answer) => Ok(answer),
            Err(failure) => {
                let failure = Arc::unwrap_or_clone(failure);
                if failure.is_no_answer() {
                    self.failures.insert(question, failure.clone()).await;
                }
                Err(failure)
            }
        }
    }
}
