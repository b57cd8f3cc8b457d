//! How much work one object may make, and how much may be said about it.
//!
//! kube-apiserver bounds none of this: there a long key above many mistakes, or a list whose items have many
//! alternatives, costs minutes or gigabytes. Here it ends in one more error.

use std::cell::Cell;

use crate::field::FieldError;

/// How many steps validating one object may take: a comparison, a keyword, some bytes of text. Takes about a second.
pub(super) const WORK_STEPS_MAX: u64 = 20_000_000;

/// How many errors of one kind are reported of one object; the first ones are kept.
pub(super) const ERRORS_MAX: usize = 1000;

/// How much text errors of one kind may have in all, in bytes. The first error is kept, however long.
pub(super) const ERROR_TEXT_BYTES_MAX: usize = 4 << 20;

/// How many bytes of an error's text are one step.
const TEXT_BYTES_PER_STEP: usize = 2;

/// The steps that are left.
pub(super) struct Work {
    left: Cell<u64>,
}

impl Default for Work {
    fn default() -> Self {
        Self { left: Cell::new(WORK_STEPS_MAX) }
    }
}

impl Work {
    /// Spends some steps.
    pub(super) fn spend(&self, steps: usize) {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        self.left.set(self.left.get().saturating_sub(steps));
    }

    /// Spends what making the text of an error costs.
    pub(super) fn spend_text(&self, bytes: usize) {
        self.spend(bytes / TEXT_BYTES_PER_STEP);
    }

    /// Spends some steps, if there are as many; if not, nothing is left.
    pub(super) fn afford(&self, steps: u64) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(steps));
        left >= steps
    }

    /// Whether nothing is left.
    pub(super) fn is_spent(&self) -> bool {
        self.left.get() == 0
    }
}

/// Errors, until there are too many.
#[derive(Default)]
pub(super) struct Collector {
    errors: Vec<FieldError>,
    text_bytes: usize,
}

impl Collector {
    /// Whether more errors would not be kept.
    pub(super) fn is_full(&self) -> bool {
        self.errors.len() >= ERRORS_MAX || self.text_bytes >= ERROR_TEXT_BYTES_MAX
    }

    /// Keeps the error, if there is room.
    pub(super) fn push(&mut self, error: FieldError) {
        if !self.is_full() {
            self.text_bytes += error.field.len() + error.detail.len();
            self.errors.push(error);
        }
    }

    /// What was kept.
    pub(super) fn into_errors(self) -> Vec<FieldError> {
        self.errors
    }
}
