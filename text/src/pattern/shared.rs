//! Patterns that several schemas have, held once: the same few are in most schemas of a platform.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use super::Pattern;

/// Patterns that a schema holds, by their text.
static HELD: LazyLock<Mutex<HashMap<Box<str>, Weak<Pattern>>>> = LazyLock::new(Mutex::default);

/// So many more than at the last look, and those that nobody holds any more are forgotten.
const LOOK_AFTER: usize = 256;

/// The pattern as another schema holds it, or compiled now.
///
/// What it costs a schema does not depend on that: one that is larger than `size_bytes_max` fails as it would alone.
pub fn shared(text: &str, size_bytes_max: usize) -> Arc<Pattern> {
    let held = || HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let known = held().get(text).and_then(Weak::upgrade);
    if let Some(known) = known.filter(|known| known.charge_bytes() <= size_bytes_max) {
        return known;
    }
    let pattern = Arc::new(Pattern::new(text, size_bytes_max));
    // A failure may be for want of what another schema has left.
    if pattern.error().is_none() {
        let mut held = held();
        if held.len() % LOOK_AFTER == LOOK_AFTER - 1 {
            held.retain(|_, pattern| pattern.strong_count() > 0);
        }
        held.insert(text.into(), Arc::downgrade(&pattern));
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_schemas_hold_a_pattern_once_and_a_small_budget_fails_all_the_same() {
        let text = "^[a-z]{3}shared$";
        let first = shared(text, usize::MAX);
        assert!(Arc::ptr_eq(&first, &shared(text, usize::MAX)));
        assert!(shared(text, 0).error().is_some());
        assert!(first.matches("abcshared"));
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        for index in 0..4 * LOOK_AFTER {
            drop(shared(&format!("^forgotten{index}$"), usize::MAX));
        }
        let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = held.keys().filter(|text| text.contains("forgotten")).count();
        assert!(forgotten <= LOOK_AFTER, "{forgotten}");
    }
}
