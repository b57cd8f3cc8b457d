//! What an object already had stays, also what its schema does not know: it was put there by a hand other than the
//! client's, and losing it silently would be worse than carrying it on.

use std::collections::HashSet;

use serde_json::Value;

/// Puts back what pruning took from `before` although it is as it was `stored`: members, and items of lists wherever they
/// are now.
pub fn keep_held(pruned: &mut Value, before: &Value, stored: &Value) {
    if pruned == before {
        return;
    }
    if before == stored {
        pruned.clone_from(stored);
        return;
    }
    match (pruned, before, stored) {
        (Value::Object(pruned), Value::Object(before), Value::Object(stored)) => {
            for (key, held) in stored {
                let Some(wanted) = before.get(key) else { continue };
                match pruned.get_mut(key) {
                    Some(kept) => keep_held(kept, wanted, held),
                    None if wanted == held => drop(pruned.insert(key.clone(), held.clone())),
                    None => {}
                }
            }
        }
        (Value::Array(pruned), Value::Array(before), Value::Array(stored)) => {
            let held: HashSet<String> = stored.iter().map(Value::to_string).collect();
            for (index, (kept, wanted)) in pruned.iter_mut().zip(before).enumerate() {
                if held.contains(&wanted.to_string()) {
                    kept.clone_from(wanted);
                } else if let Some(held) = stored.get(index) {
                    keep_held(kept, wanted, held);
                }
            }
        }
        _ => {}
    }
}
