//! The twin test: one kind, served by a CRD in the real kube-apiserver and by Kindsmith, asked the same.
//!
//! A [`plan::Step`] says what to do without saying to whom; [`pair::Pair`] does it on both sides; [`likeness::Likeness`]
//! says whether the answers mean the same. What must differ (uids, times, revisions) is matched one to one instead of
//! ignored: a uid that stood for another object before is a difference.

/// The kind, as the two sides define it.
pub mod definition;

/// What is asked: steps, and the strategies that make random ones.
pub mod plan;

/// What was answered.
pub mod answer;

/// Whether two answers mean the same.
pub mod likeness;

/// Differences that are meant.
pub mod known;

/// The kind on both sides, and changes of its definition.
pub mod ground;

/// Both sides, and what was seen of them.
pub mod pair;

/// Watches that are held while other steps run.
pub mod watching;
