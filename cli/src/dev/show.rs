//! What is served, as tables: the kinds, and the instances of each.

use kindsmith_crds::ApplicationDefinition;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};

/// Rows under headings, each column as wide as its longest cell.
fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count());
        cells.chain(headings.get(index).map(|heading| heading.chars().count())).max().unwrap_or_default()
    };
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().enumerate().map(|(index, cell)| format!("{cell:<width$}", width = width(index))).collect();
        padded.join("   ").trim_end().to_owned() + "\n"
    };
    let mut text = line(headings.to_vec());
    for row in rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text
}

/// Prints the kinds and their instances.
pub(super) async fn print(client: &Client) -> anyhow::Result<()> {
    let definitions = Api::<ApplicationDefinition>::all(client.clone()).list(&ListParams::default()).await?;
    let mut kinds = Vec::new();
    let mut instances = Vec::new();
    for definition in definitions {
        let spec = &definition.spec;
        let Some(version) = spec.versions.iter().find(|version| version.served) else { continue };
        let backend = if spec.backend.helm_release.is_some() { "HelmRelease" } else { "own store" };
        let resource = ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk(&spec.group, &version.name, &spec.names.kind),
            &spec.names.plural,
        );
        let listed = Api::<DynamicObject>::all_with(client.clone(), &resource).list(&ListParams::default()).await;
        let served = if listed.is_ok() { "served" } else { "not served" };
        kinds.push(vec![
            format!("{}.{}", spec.names.plural, spec.group),
            spec.names.short_names.join(","),
            version.name.clone(),
            spec.names.kind.clone(),
            backend.to_owned(),
            served.to_owned(),
        ]);
        for instance in listed.into_iter().flatten() {
            let metadata = instance.metadata;
            instances.push(vec![
                metadata.namespace.unwrap_or_default(),
                format!(
                    "{}/{}",
                    spec.names.singular.clone().unwrap_or_else(|| spec.names.kind.to_lowercase()),
                    metadata.name.unwrap_or_default()
                ),
            ]);
        }
    }
    println!("\n{}", table(&["RESOURCE", "SHORT", "VERSION", "KIND", "BACKEND", "STATE"], &kinds));
    print!("{}", table(&["NAMESPACE", "INSTANCE"], &instances));
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let rows = vec![vec!["a".to_owned(), "long cell".to_owned()], vec!["bcdef".to_owned(), "x".to_owned()]];
        assert_eq!(super::table(&["ONE", "TWO"], &rows), "ONE     TWO\na       long cell\nbcdef   x\n");
    }
}
