//! What somebody should know about a definition that was made from less than it could say.

/// How many warnings are shown.
const SHOWN_MAX: usize = 20;

/// Warnings, each once.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    shown: Vec<String>,
    /// How many more there were.
    more: usize,
    /// What somebody has to decide about; of these there are few.
    decisions: Vec<String>,
}

impl Warnings {
    /// Adds a warning about a field.
    pub(super) fn add(&mut self, path: &[String], text: &str) {
        let line = format!("{}: {text}", path.join("."));
        if self.shown.contains(&line) {
            return;
        }
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(line);
        } else {
            self.more += 1;
        }
    }

    /// Adds what somebody has to decide about.
    pub(super) fn decide(&mut self, text: String) {
        self.decisions.push(text);
    }

    /// The lines to show.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.shown.iter().map(|line| format!("warning: {line}")).collect();
        if self.more > 0 {
            lines.push(format!("warning: and {} more", self.more));
        }
        lines.extend(self.decisions.iter().map(|text| format!("warning: {text}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_told_once_and_not_without_end() {
        let mut warnings = Warnings::default();
        for n in 0..100 {
            warnings.add(&["spec".to_owned(), format!("f{n}")], "why");
            warnings.add(&["spec".to_owned(), "f0".to_owned()], "why");
        }
        let lines = warnings.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (SHOWN_MAX + 1, "warning: spec.f0: why"));
        assert_eq!(lines[SHOWN_MAX], "warning: and 80 more");
    }
}
