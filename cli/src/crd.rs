//! `kindsmith crd`: the CustomResourceDefinition of ApplicationDefinition as YAML.

use anyhow::Context as _;

/// Prints it.
pub(crate) fn print() -> anyhow::Result<()> {
    let crd = kindsmith_crds::custom_resource_definition().context("the CustomResourceDefinition cannot be made")?;
    let yaml = serde_saphyr::to_string(&crd).context("the CustomResourceDefinition cannot be written as YAML")?;
    crate::output::print(&yaml)
}
