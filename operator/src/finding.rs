//! What was found about one thing, as a condition of a status says it.

/// What was found about one thing: a condition without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Whether it holds.
    pub truth: Truth,
    /// The reason, CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    /// `True`
    True,
    /// `False`
    False,
    /// `Unknown`
    Unknown,
}

impl Truth {
    /// As conditions write it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl Finding {
    /// A finding with its reason and its message.
    pub(crate) fn new(truth: Truth, reason: &str, message: impl Into<String>) -> Self {
        Self { truth, reason: reason.to_owned(), message: message.into() }
    }

    /// Whether it is true.
    pub(crate) fn holds(&self) -> bool {
        self.truth == Truth::True
    }
}
