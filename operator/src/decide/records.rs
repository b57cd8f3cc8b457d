//! Which generations are to be recorded: those that were accepted. One record is kept for each definition.

use super::Action;
use crate::{judge::Definition, records::Records};

/// The actions on definitions, each with its index.
pub(super) fn actions<'w>(
    definitions: impl Iterator<Item = (usize, &'w Definition)>,
    records: &Records,
) -> Vec<(usize, Action)> {
    let action = |(index, definition): (usize, &Definition)| {
        let uid = &definition.uid;
        let last = records.last(uid);
        let is_recorded = last.as_ref().is_some_and(|last| last.state == definition.state);
        if definition.verdict.refused.is_none() && !is_recorded {
            let record = Action::Record {
                form: definition.form,
                name: definition.name.clone(),
                uid: uid.clone(),
                state: definition.state.clone(),
                revision: last.map_or(1, |last| last.revision.saturating_add(1)),
            };
            return Some((index, record));
        }
        // Not before the new one was seen: a crash in between leaves one too many, never none.
        let names = records.superseded(uid);
        (!names.is_empty()).then(|| (index, Action::ForgetRecords { uid: uid.clone(), names }))
    };
    definitions.filter_map(action).collect()
}
