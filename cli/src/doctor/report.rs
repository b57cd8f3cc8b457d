//! What was found, as lines for people or as JSON, and how it ends.

use kindsmith_text::print::control_escape;
use serde_json::{Value, json};

use super::{
    Phase,
    finding::{Finding, Level},
};

/// All that was found.
pub(super) struct Report {
    /// What was looked at.
    pub phase: Phase,
    /// The namespace.
    pub namespace: String,
    /// The lines, in the order in which things depend on each other.
    pub findings: Vec<Finding>,
}

impl Report {
    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|it| it.level == level).count()
    }

    /// Returns whether nothing is broken.
    pub(super) fn is_healthy(&self) -> bool {
        self.count(Level::Broken) == 0
    }

    /// Returns a line each, and below it what to do.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![match self.phase {
            Phase::Before => "► checking what an installation needs".to_owned(),
            Phase::Installed => format!("► checking Kindsmith in namespace {}", self.namespace),
        }];
        for finding in &self.findings {
            lines.push(format!("{} {}: {}", finding.level.mark(), finding.topic.word(), finding.found));
            lines.extend(finding.remedy.as_ref().map(|remedy| format!("    → {remedy}")));
        }
        lines.push(self.summary());
        // Names and messages may be anybody's.
        let shown = |line: &String| -> String {
            line.chars().map(|it| control_escape(it).map_or_else(|| it.to_string(), |it| it.to_string())).collect()
        };
        lines.iter().map(shown).collect::<Vec<_>>().join("\n") + "\n"
    }

    fn summary(&self) -> String {
        let (broken, warnings, unchecked) =
            (self.count(Level::Broken), self.count(Level::Warning), self.count(Level::Unchecked));
        let mark = if broken > 0 { Level::Broken } else { Level::Well }.mark();
        let counted = [(broken, "broken"), (warnings, "to be looked at"), (unchecked, "not checked")];
        let told: Vec<String> =
            counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if told.is_empty() { format!("{mark} all is well") } else { format!("{mark} {}", told.join(", ")) }
    }

    /// Returns the same for programs.
    pub(super) fn json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|it| {
                json!({"check": it.topic.word(), "status": it.level.word(), "message": it.found, "remedy": it.remedy})
            })
            .collect();
        json!({
            "healthy": self.is_healthy(),
            "phase": match self.phase { Phase::Before => "pre", Phase::Installed => "installed" },
            "namespace": self.namespace,
            "version": env!("CARGO_PKG_VERSION"),
            "checks": findings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Topic, *};

    fn report(findings: Vec<Finding>) -> Report {
        Report { phase: Phase::Installed, namespace: "system".to_owned(), findings }
    }

    #[test]
    fn lines_have_a_mark_and_below_them_what_to_do() {
        let findings = vec![
            Finding::well(Topic::Kubernetes, "Kubernetes v1.37.2"),
            Finding::warning(Topic::Definitions, "one\u{1b}[31m is odd", "look at it"),
            Finding::broken(Topic::Flux, "Flux is missing", "flux install"),
        ];
        let report = report(findings);
        assert_eq!(
            report.text(),
            "► checking Kindsmith in namespace system\n✔ kubernetes: Kubernetes v1.37.2\n\
             ▲ definitions: one\\u{1b}[31m is odd\n    → look at it\n✗ flux: Flux is missing\n    → flux install\n\
             ✗ 1 broken, 1 to be looked at\n"
        );
        assert!(!report.is_healthy());
        assert_eq!(
            report.json()["checks"][2],
            json!({"check": "flux", "status": "error", "message": "Flux is missing", "remedy": "flux install"})
        );
    }

    #[test]
    fn warnings_are_no_failure() {
        let warned = report(vec![Finding::warning(Topic::Flux, "a", "b")]);
        assert!(warned.is_healthy() && warned.text().ends_with("✔ 1 to be looked at\n"), "{}", warned.text());
        assert!(report(Vec::new()).text().ends_with("✔ all is well\n"));
        assert_eq!(report(Vec::new()).json()["healthy"], true);
    }
}
