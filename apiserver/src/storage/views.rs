//! The views of a feed, by what the names of the objects begin with that each can show.
//!
//! A change is told to the few views that it could concern, however many kinds there are; the others hear of the revision.

use std::sync::Arc;

use super::feed::View;

/// The views of a feed.
#[derive(Default)]
pub(super) struct Views(Vec<Prefixed>);

/// A view, and its prefix.
struct Prefixed {
    prefix: String,
    view: Arc<dyn View>,
}

impl Views {
    /// Adds a view.
    pub(super) fn add(&mut self, view: Arc<dyn View>) {
        self.0.push(Prefixed { prefix: view.prefix(), view });
    }

    /// Removes views.
    pub(super) fn remove(&mut self, gone: impl Fn(&Arc<dyn View>) -> bool) {
        self.0.retain(|held| !gone(&held.view));
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<dyn View>> {
        self.0.iter().map(|held| &held.view)
    }

    /// Tells of a change of the object of this name: first `told` for the views that it could concern, then `rest` for the
    /// others.
    pub(super) fn tell(&self, name: &str, told: impl Fn(&dyn View), rest: impl Fn(&dyn View)) {
        let concerns = |held: &&Prefixed| name.starts_with(&held.prefix);
        self.0.iter().filter(concerns).for_each(|held| told(held.view.as_ref()));
        self.0.iter().filter(|held| !concerns(held)).for_each(|held| rest(held.view.as_ref()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{super::feed::Objects, *};

    struct Named(String);

    impl View for Named {
        fn prefix(&self) -> String {
            self.0.clone()
        }

        fn fill(&self, _: &Objects, _: u64) {}

        fn applied(&self, _: &Value, _: &Bytes, _: u64) {}

        fn deleted(&self, _: &Value, _: u64) {}

        fn progress(&self, _: u64) {}
    }

    fn views(prefixes: &[String]) -> Views {
        let mut views = Views::default();
        prefixes.iter().for_each(|prefix| views.add(Arc::new(Named(prefix.clone()))));
        views
    }

    /// The prefixes of those that are told, and of the others.
    fn heard(views: &Views, name: &str) -> (Vec<String>, Vec<String>) {
        let (told, rest) = (Mutex::default(), Mutex::default());
        let into = |heard: &Mutex<Vec<String>>, view: &dyn View| heard.lock().unwrap().push(view.prefix());
        views.tell(name, |view| into(&told, view), |view| into(&rest, view));
        let sorted = |heard: Mutex<Vec<String>>| {
            let mut heard = heard.into_inner().unwrap();
            heard.sort();
            heard
        };
        (sorted(told), sorted(rest))
    }

    proptest! {
        #[test]
        fn whose_prefix_a_name_has_is_told_and_each_other_hears_of_the_revision(
            mut prefixes in prop::collection::vec("[abé]{0,3}", 0..12),
            gone in "[abé]{0,1}",
            name in "[abé]{0,6}",
        ) {
            let mut views = views(&prefixes);
            views.remove(|view| view.prefix() == gone);
            prefixes.retain(|prefix| *prefix != gone);
            prefixes.sort();
            prop_assert_eq!(views.all().count(), prefixes.len());
            let (told, rest): (Vec<_>, Vec<_>) = prefixes.into_iter().partition(|prefix| name.starts_with(prefix.as_str()));
            prop_assert_eq!(heard(&views, &name), (told, rest));
        }
    }
}
