//! What objects may hold: fields by name, and all others.

use std::collections::BTreeSet;

use super::schema::{Judged, Level, Place, Pruning, Side, Walk, is_scalar, judged_inside, takes_anything};
use super::{Change, Hurt};
use crate::structural::node::{Additional, Node};

/// The fields of every resource.
const META_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// What becomes of fields that a schema does not name.
#[derive(Clone, Copy)]
enum Rest<'a> {
    /// They are dropped.
    Dropped,
    /// They make the object invalid.
    Refused,
    /// They are kept, but objects in them lose all of their fields.
    Emptied,
    /// They are kept as they are.
    Kept,
    /// They follow a schema.
    Entries(&'a Node),
}

impl<'a> Rest<'a> {
    fn of(schema: &'a Node, side: Side) -> Self {
        match &schema.additional {
            Some(Additional::Schema(entry)) => Self::Entries(entry),
            Some(Additional::Any(false)) => Self::Refused,
            Some(Additional::Any(true)) if side.pruning == Pruning::Never => Self::Kept,
            Some(Additional::Any(true)) => Self::Emptied,
            None if side.keeps(schema) => Self::Kept,
            None => Self::Dropped,
        }
    }
}

impl Walk {
    /// Compares what objects of the two schemas may hold.
    pub(super) fn objects(&mut self, old: &Node, new: &Node, place: Place) {
        let rests = (Rest::of(old, place.old), Rest::of(new, place.new));
        let drops = old.preserves_unknown_fields() && !place.new.keeps(new);
        if drops {
            self.report(Change::UnknownFieldsDropped, Hurt::Both);
        }
        self.required(old, new);
        let inside = Place { judged: judged_inside(new, place.judged), ..place };
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for (name, _) in &old.properties {
            names.insert(name);
        }
        for (name, _) in &new.properties {
            names.insert(name);
        }
        if place.old.level == Level::Resource || place.new.level == Level::Resource {
            names.extend(META_FIELDS);
        }
        for name in names {
            self.at_field(name, |walk| walk.field(name, old, new, inside, rests));
        }
        self.rests(rests, inside, Dropping { reported: drops });
    }

    fn field(&mut self, name: &str, old: &Node, new: &Node, place: Place, rests: (Rest<'_>, Rest<'_>)) {
        let [text, metadata] = self.implied.clone();
        let implied = if name == "metadata" { &metadata } else { &text };
        let is_implied =
            |schema: &Node, side: Side| side.level == Level::Resource && !schema.properties.contains_key(name);
        let (old_implied, new_implied) = (is_implied(old, place.old), is_implied(new, place.new));
        // A new default is one more field.
        let counted = new.sizes.max_properties.is_some() && place.judged == Judged::Apart;
        let judged = if counted { Judged::Counted } else { place.judged };
        let meta = META_FIELDS.contains(&name);
        let old_field = old.properties.get(name).or((meta && old_implied).then_some(implied));
        let new_field = new.properties.get(name).or((meta && new_implied).then_some(implied));
        let pair =
            |old: &Node, new: &Node| Place { old: place.old.field(name, old), new: place.new.field(name, new), judged };
        match (old_field, new_field) {
            // That they are there is told of the resource.
            (_, Some(_)) if meta && new_implied => {}
            (Some(old), Some(new)) => self.node(old, new, pair(old, new)),
            (Some(old), None) => match rests.1 {
                Rest::Kept => {
                    if let Some(default) = &old.default {
                        self.report(Change::Default { old: (**default).clone(), new: None }, Hurt::Clients);
                    }
                }
                Rest::Emptied if is_scalar(old) => {}
                Rest::Entries(entry) => self.node(old, entry, pair(old, entry)),
                Rest::Dropped | Rest::Refused | Rest::Emptied => self.report(Change::FieldRemoved, Hurt::Both),
            },
            (None, Some(new)) => match rests.0 {
                Rest::Dropped | Rest::Refused => self.new_default(new, judged),
                Rest::Entries(entry) => self.node(entry, new, pair(entry, new)),
                Rest::Kept | Rest::Emptied if takes_anything(new) => {}
                Rest::Kept | Rest::Emptied => self.report(Change::FieldJudged, Hurt::Both),
            },
            (None, None) => {}
        }
    }

    fn required(&mut self, old: &Node, new: &Node) {
        for name in &new.required {
            let filled_in = new.properties.get(name).is_some_and(|field| field.default.is_some());
            if !filled_in && !old.required.contains(name) {
                self.report(Change::RequiredAdded { name: name.clone() }, Hurt::Both);
            }
        }
    }

    fn rests(&mut self, rests: (Rest<'_>, Rest<'_>), place: Place, dropping: Dropping) {
        match rests {
            (Rest::Dropped | Rest::Refused, _)
            | (Rest::Kept | Rest::Emptied | Rest::Entries(_), Rest::Kept)
            | (Rest::Emptied, Rest::Emptied) => {}
            (Rest::Kept, Rest::Dropped) => {
                if !dropping.reported {
                    self.report(Change::UnknownFieldsDropped, Hurt::Both);
                }
            }
            (Rest::Kept | Rest::Emptied, Rest::Entries(entry)) if takes_anything(entry) => {}
            (Rest::Entries(old), Rest::Emptied) if is_scalar(old) => {}
            (Rest::Entries(old), Rest::Entries(new)) => {
                let place =
                    Place { old: place.old.field("", old), new: place.new.field("", new), judged: place.judged };
                self.at_each(|walk| walk.node(old, new, place));
            }
            (Rest::Kept | Rest::Emptied | Rest::Entries(_), _) => self.report(Change::EntriesNarrowed, Hurt::Both),
        }
    }
}

/// Whether it was said already that unknown fields are dropped.
#[derive(Clone, Copy)]
struct Dropping {
    reported: bool,
}
