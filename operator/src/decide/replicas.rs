//! Whether every replica of the API server that lives serves a generation: kube-aggregator is content when one answers.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    finding::{Finding, Truth},
    replicas::ReplicaState,
};

/// A replica, and what it said.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    /// The name of its process.
    pub identity: String,
    /// What it said.
    pub said: Said,
}

/// What a replica said when it was asked.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// It was not asked yet.
    NotYet,
    /// It gave no answer, for this reason.
    Nothing(String),
    /// It serves these generations, by uid of the definition.
    Serves(Arc<BTreeMap<String, i64>>),
}

impl From<ReplicaState> for Replica {
    fn from(state: ReplicaState) -> Self {
        let said = match state.answer {
            None => Said::NotYet,
            Some(Ok(answer)) => Said::Serves(answer.definitions),
            Some(Err(fault)) => Said::Nothing(fault.to_string()),
        };
        Self { identity: state.identity, said }
    }
}

/// Whether all serve that generation of a definition.
pub(super) fn serving(replicas: &[Replica], uid: &str, generation: i64) -> Finding {
    let found = |truth, reason: &str, message: String| Finding::new(truth, reason, message);
    if replicas.is_empty() {
        let message = "no replica of the API server announces itself: look at its pods".to_owned();
        return found(Truth::False, "NoReplica", message);
    }
    let all = replicas.len();
    let mut behind = Vec::new();
    for replica in replicas {
        let name = &replica.identity;
        match &replica.said {
            Said::NotYet => {
                return found(Truth::Unknown, "AskingReplicas", format!("replica {name} was not asked yet"));
            }
            Said::Nothing(fault) => {
                let message = format!("replica {name}, one of {all}, does not say what it serves: {fault}");
                return found(Truth::False, "ReplicaSilent", message);
            }
            Said::Serves(held) => match held.get(uid) {
                Some(held) if *held == generation => {}
                Some(held) => behind.push(format!("{name} serves generation {held}")),
                None => behind.push(format!("{name} does not serve it")),
            },
        }
    }
    let Some(first) = behind.first() else {
        let replicas = if all == 1 { "replica" } else { "replicas" };
        return found(Truth::True, "Served", format!("the kind is served by {all} {replicas}"));
    };
    let message = format!("{} of {all} replicas serve generation {generation}: {first}", all - behind.len());
    found(Truth::False, "ReplicasBehind", message)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn replica(identity: &str, said: Said) -> Replica {
        Replica { identity: identity.to_owned(), said }
    }

    fn serves(generation: i64) -> Said {
        Said::Serves(Arc::new(BTreeMap::from([("uid".to_owned(), generation)])))
    }

    #[rstest]
    #[case::none(vec![], Truth::False, "NoReplica")]
    #[case::all(vec![serves(2), serves(2)], Truth::True, "Served")]
    #[case::one_is_behind(vec![serves(2), serves(1)], Truth::False, "ReplicasBehind")]
    #[case::one_has_not_heard_of_it(vec![Said::Serves(Arc::default()), serves(2)], Truth::False, "ReplicasBehind")]
    #[case::one_is_silent(vec![serves(2), Said::Nothing("no answer".to_owned())], Truth::False, "ReplicaSilent")]
    #[case::one_was_not_asked(vec![Said::NotYet, serves(2)], Truth::Unknown, "AskingReplicas")]
    fn a_generation_is_served_when_every_replica_has_it(
        #[case] said: Vec<Said>,
        #[case] truth: Truth,
        #[case] reason: &str,
    ) {
        let replicas: Vec<Replica> =
            said.into_iter().enumerate().map(|(at, said)| replica(&format!("replica-{at}"), said)).collect();
        let found = serving(&replicas, "uid", 2);
        assert_eq!((found.truth, found.reason.as_str()), (truth, reason), "{}", found.message);
    }

    #[test]
    fn who_is_behind_is_named() {
        let found = serving(&[replica("one", serves(2)), replica("two", serves(1))], "uid", 2);
        assert_eq!(found.message, "1 of 2 replicas serve generation 2: two serves generation 1");
    }
}
