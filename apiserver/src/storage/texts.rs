//! Short texts by name: labels and selectable fields of an object that is held.

/// Texts by name, sorted, in as much memory as they take: a map has room for eleven where there are one or two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(Box<[(Box<str>, Box<str>)]>);

impl Texts {
    /// The text of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(held, _)| (**held).cmp(name)).ok()?;
        self.0.get(at).map(|(_, text)| &**text)
    }
}

impl<N: Into<Box<str>>, T: Into<Box<str>>> FromIterator<(N, T)> for Texts {
    /// Of several texts of a name, the last one counts.
    fn from_iter<I: IntoIterator<Item = (N, T)>>(texts: I) -> Self {
        let mut texts: Vec<(Box<str>, Box<str>)> =
            texts.into_iter().map(|(name, text)| (name.into(), text.into())).collect();
        texts.reverse();
        texts.sort_by(|(left, _), (right, _)| left.cmp(right));
        texts.dedup_by(|(left, _), (right, _)| left == right);
        Self(texts.into_boxed_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_their_names() {
        let texts = Texts::from_iter([("b", "2"), ("a", "1"), ("b", "3")]);
        assert_eq!([texts.get("a"), texts.get("b"), texts.get("c")], [Some("1"), Some("3"), None]);
    }
}
