//! What is served, as tables: the kinds, and the instances of each.

use kindsmith_schema::{
    compile::OwnStorage,
    form::DefinitionForm,
    kind::{Kind, KindBackend},
};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};

/// The instances of a kind that are named; of others, how many there are.
const INSTANCES_SHOWN_MAX: u32 = 10;

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
pub(super) async fn print(client: &Client, forms: &[DefinitionForm]) -> anyhow::Result<()> {
    let (mut kinds, mut instances) = (Vec::new(), Vec::new());
    for form in forms {
        let of_form = GroupVersionKind::gvk(form.group(), form.version(), "ApplicationDefinition");
        let resource = ApiResource::from_gvk(&of_form);
        let definitions =
            Api::<DynamicObject>::all_with(client.clone(), &resource).list(&ListParams::default()).await?;
        for definition in definitions {
            let Ok(kind) = form.compile(&serde_json::to_value(&definition)?, OwnStorage::Available) else { continue };
            let (row, of_kind) = rows(client, &kind).await;
            kinds.extend(row);
            instances.extend(of_kind);
        }
    }
    println!("\n{}", table(&["RESOURCE", "SHORT", "VERSION", "KIND", "BACKEND", "STATE"], &kinds));
    print!("{}", table(&["NAMESPACE", "INSTANCE"], &instances));
    Ok(())
}

/// The row of a kind, and those of its instances.
async fn rows(client: &Client, kind: &Kind) -> (Option<Vec<String>>, Vec<Vec<String>>) {
    let Some(version) = kind.served_versions().next() else { return (None, Vec::new()) };
    let names = &kind.names;
    let backend = if matches!(kind.backend, KindBackend::Release(_)) { "HelmRelease" } else { "own store" };
    let of_version = GroupVersionKind::gvk(&kind.group, &version.name, &names.kind);
    let resource = ApiResource::from_gvk_with_plural(&of_version, &names.plural);
    let few = ListParams::default().limit(INSTANCES_SHOWN_MAX);
    let listed = Api::<DynamicObject>::all_with(client.clone(), &resource).list_metadata(&few).await;
    let row = vec![
        format!("{}.{}", names.plural, kind.group),
        names.short_names.join(","),
        version.name.clone(),
        names.kind.clone(),
        backend.to_owned(),
        if listed.is_ok() { "served" } else { "not served" }.to_owned(),
    ];
    let more = listed.as_ref().ok().and_then(|listed| listed.metadata.remaining_item_count);
    let more = more.map(|more| vec![String::new(), format!("and {more} more {}", names.plural)]);
    let metadata = listed.into_iter().flatten().map(|instance| instance.metadata);
    let instance = |metadata: kube::core::ObjectMeta| {
        let name = format!("{}/{}", names.singular, metadata.name.unwrap_or_default());
        vec![metadata.namespace.unwrap_or_default(), name]
    };
    (Some(row), metadata.map(instance).chain(more).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let rows = vec![vec!["a".to_owned(), "long cell".to_owned()], vec!["bcdef".to_owned(), "x".to_owned()]];
        assert_eq!(super::table(&["ONE", "TWO"], &rows), "ONE     TWO\na       long cell\nbcdef   x\n");
    }
}
