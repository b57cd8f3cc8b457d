//! Who owns which field, told by the object itself: one bit for each of its paths and each owner, deflated, where names
//! of paths would take as much as the object.
//!
//! The order of the bits is by numbers that are made of the paths, and a sketch of these numbers goes along. So when
//! others add fields to the object or take some away, the paths that were there are found again, and each bit is still
//! that of its path; a path that is gone has no owner any more, as in kube-apiserver. What is owned and is no path of the
//! object stands there by its name.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    UNPACKED_BYTES_MAX,
    places::{ItemNames, KEYS_MAX, Path, Places},
    sketch::Sketch,
};

/// What a text begins with.
pub(super) const TAG: &str = "paths:";

/// What stands before the sketch and the bits, as JSON.
#[derive(Serialize, Deserialize)]
struct Head {
    /// How many paths the object had.
    paths: usize,
    /// How many cells the sketch has.
    cells: usize,
    items: ItemNames,
    /// The entries, with what is owned besides paths of the object.
    entries: Vec<Value>,
}

/// The text for these entries of an object, with a sketch of about so many cells. None where it would not be read as
/// the same entries.
pub(super) fn write(entries: &Value, object: &Value, cells: usize) -> Option<String> {
    let list = entries.as_array()?;
    let mut items = ItemNames::default();
    for entry in list {
        note_items(fields(entry), &mut items);
    }
    if items.keys.len() > KEYS_MAX {
        return None;
    }
    let places = Places::of(object, &items)?;
    let numbers = places.numbers();
    let sketch = Sketch::of(numbers.iter().copied(), cells);
    let (mut rest, mut bits) = (Vec::with_capacity(list.len()), Vec::new());
    for entry in list {
        let mut own = vec![0_u8; numbers.len().div_ceil(8)];
        let mut left = entry.clone();
        if let Some(Value::Object(fields)) = left.get_mut("fieldsV1") {
            take(fields, Path::default(), &mut |number| {
                let at = numbers.binary_search(&number).ok();
                at.is_some_and(|at| {
                    own[at / 8] |= 1 << (at % 8);
                    true
                })
            });
        }
        rest.push(left);
        bits.extend(own);
    }
    let head = Head { paths: numbers.len(), cells: sketch.cells(), items, entries: rest };
    let head = serde_json::to_vec(&head).ok()?;
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&u32::try_from(head.len()).ok()?.to_le_bytes()).ok()?;
    packed.write_all(&head).ok()?;
    packed.write_all(&sketch.bytes().collect::<Vec<_>>()).ok()?;
    packed.write_all(&bits).ok()?;
    let text = format!("{TAG}{}", STANDARD.encode(packed.finish().ok()?));
    (read(&text, object).as_ref() == Some(entries)).then_some(text)
}

/// The entries in a text, of an object that may have changed since. None when it is none of ours, or when the object has
/// changed too much.
pub(super) fn read(text: &str, object: &Value) -> Option<Value> {
    let packed = STANDARD.decode(text.strip_prefix(TAG)?).ok()?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(UNPACKED_BYTES_MAX + 1).ok()?;
    ZlibDecoder::new(packed.as_slice()).take(limit).read_to_end(&mut bytes).ok()?;
    if bytes.len() > UNPACKED_BYTES_MAX {
        return None;
    }
    let (length, rest) = bytes.split_first_chunk()?;
    let (head, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    let (sketch, bits) = Sketch::read(rest, head.cells)?;
    let row = head.paths.div_ceil(8);
    if head.items.keys.len() > KEYS_MAX || Some(bits.len()) != row.checked_mul(head.entries.len()) {
        return None;
    }
    let places = Places::of(object, &head.items)?;
    let numbers = sketch.set_near(&places.numbers()).filter(|numbers| numbers.len() == head.paths);
    // Who owns paths cannot be told any more when too much has changed; who owns other fields can.
    let at: Vec<Option<usize>> = numbers.unwrap_or_default().iter().map(|number| places.at(*number)).collect();
    let mut room = UNPACKED_BYTES_MAX;
    let mut entries = head.entries;
    for (index, entry) in entries.iter_mut().enumerate() {
        let own = bits.get(index * row..(index + 1) * row)?;
        let owned = at.iter().enumerate().filter(|(bit, _)| own[bit / 8] & (1 << (bit % 8)) != 0);
        let fields = named(&places, owned.filter_map(|(_, place)| *place), &mut room)?;
        if let Some(Value::Object(held)) = entry.get_mut("fieldsV1") {
            merge(held, fields);
            held.values_mut().for_each(settle);
        }
    }
    // Who owned nothing but fields that are gone is no owner.
    entries.retain(|entry| fields(entry).is_none_or(|fields| !fields.is_empty()));
    Some(Value::Array(entries))
}

fn fields(entry: &Value) -> Option<&Map<String, Value>> {
    entry.get("fieldsV1")?.as_object()
}

/// Notes how items are named in a set.
fn note_items(fields: Option<&Map<String, Value>>, items: &mut ItemNames) {
    for (name, below) in fields.into_iter().flatten() {
        if let Some(Ok(Value::Object(key))) = name.strip_prefix("k:").map(serde_json::from_str) {
            let names: Vec<String> = key.into_iter().map(|(name, _)| name).collect();
            if !items.keys.contains(&names) && items.keys.len() <= KEYS_MAX {
                items.keys.push(names);
            }
        }
        items.values |= name.starts_with("v:");
        note_items(below.as_object(), items);
    }
}

/// Takes the paths out of a set that have a number which is known.
fn take(fields: &mut Map<String, Value>, at: Path, is_known: &mut impl FnMut(u64) -> bool) {
    fields.retain(|name, below| {
        let Value::Object(below) = below else { return true };
        let path = at.below(name);
        if below.is_empty() {
            return !is_known(path.number());
        }
        if below.get(".").and_then(Value::as_object).is_some_and(Map::is_empty) && is_known(path.number()) {
            below.remove(".");
        }
        take(below, path, is_known);
        !below.is_empty()
    });
}

/// The set of these paths, in which each that is owned has a `.`. None when it would take more than there is room for.
fn named(places: &Places, owned: impl Iterator<Item = usize>, room: &mut usize) -> Option<Map<String, Value>> {
    let mut below: BTreeMap<usize, Map<String, Value>> = BTreeMap::new();
    for at in owned {
        below.entry(at).or_default().insert(".".to_owned(), Value::Object(Map::new()));
    }
    let mut root = Map::new();
    // What is below another path stands behind it.
    while let Some((at, fields)) = below.pop_last() {
        let place = places.all().get(at)?;
        // With quotes, colon, braces and comma.
        *room = room.checked_sub(place.name.len() + 6)?;
        let above = match place.parent {
            Some(parent) => below.entry(parent).or_default(),
            None => &mut root,
        };
        above.insert(place.name.clone(), Value::Object(fields));
    }
    Some(root)
}

fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(held)), Value::Object(value)) => merge(held, value),
            (_, value) => drop(into.insert(name, value)),
        }
    }
}

/// A path that leads no further is written without the `.`.
fn settle(value: &mut Value) {
    if let Value::Object(fields) = value {
        if fields.len() == 1 {
            fields.remove(".");
        }
        fields.values_mut().for_each(settle);
    }
}
