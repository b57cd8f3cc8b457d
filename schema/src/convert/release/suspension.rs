//! What who writes an instance of a suspended release is told: Flux neither applies changes of it nor uninstalls it.
//!
//! Source: fluxcd/helm-controller internal/controller/helmrelease_controller.go (`reconcile`, `reconcileDelete`).

use super::ReleaseTemplate;
use kindsmith_text::print::quoted;

/// The most names that a warning has.
const NAMES_MAX: usize = 10;

impl ReleaseTemplate {
    /// That a change of an instance is kept and not applied.
    #[must_use]
    pub fn change_waits(&self, name: &str) -> String {
        format!(
            "{} {} is suspended: the change is kept and will not be applied until HelmRelease {} is resumed",
            self.kind,
            quoted(name),
            quoted(&self.release_name(name))
        )
    }

    /// What the deletion of instances leaves behind.
    #[must_use]
    pub fn deletion_leaves(&self, names: &[&str]) -> String {
        let told: Vec<String> = names.iter().take(NAMES_MAX).map(|name| quoted(name)).collect();
        let more = names.len().saturating_sub(told.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let is = if names.len() == 1 { "is" } else { "are" };
        format!(
            "{} {}{more} {is} suspended: Flux does not uninstall what is suspended, so that all objects of the chart stay in the \
             cluster, and so do the Secrets with Helm's records",
            self.kind,
            told.join(", ")
        )
    }
}
