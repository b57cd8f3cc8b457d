//! What is served, as tables: the kinds, and the instances of each.

use std::time::Duration;

use kindsmith_crds::{CONDITION_ACCEPTED, CONDITION_NAMES_ACCEPTED};
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
use serde_json::Value;

use crate::output;

/// The instances of a kind that are named; of others, how many there are.
const INSTANCES_SHOWN_MAX: u32 = 10;

/// How long the kinds of all definitions may take until they are served, and what is not is shown as that.
const SERVED_MAX: Duration = Duration::from_secs(10);

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

/// Waits until each definition is served or refused, so that what is printed after it can be used at once; then prints
/// the kinds and their instances.
pub(super) async fn print(client: &Client, forms: &[DefinitionForm]) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + SERVED_MAX;
    let (kinds, instances) = loop {
        let shown = shown(client, forms).await?;
        if !shown.waits || tokio::time::Instant::now() >= deadline {
            break (shown.kinds, shown.instances);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let kinds = table(&["RESOURCE", "SHORT", "VERSION", "KIND", "BACKEND", "STATE"], &kinds);
    output::print(&format!("\n{kinds}\n{}", table(&["NAMESPACE", "INSTANCE"], &instances)))
}

/// The rows of both tables, and whether a kind that is not served may yet be.
#[derive(Default)]
struct Shown {
    kinds: Vec<Vec<String>>,
    instances: Vec<Vec<String>>,
    waits: bool,
}

async fn shown(client: &Client, forms: &[DefinitionForm]) -> anyhow::Result<Shown> {
    let mut shown = Shown::default();
    for form in forms {
        let of_form = GroupVersionKind::gvk(form.group(), form.version(), "ApplicationDefinition");
        let resource = ApiResource::from_gvk(&of_form);
        let definitions =
            Api::<DynamicObject>::all_with(client.clone(), &resource).list(&ListParams::default()).await?;
        for definition in definitions {
            let definition = serde_json::to_value(&definition)?;
            let Ok(kind) = form.compile(&definition, OwnStorage::Available) else { continue };
            let Some(rows) = rows(client, &kind).await else { continue };
            shown.waits |= !rows.served && !is_refused(&definition);
            shown.kinds.push(rows.kind);
            shown.instances.extend(rows.instances);
        }
    }
    Ok(shown)
}

/// Whether a definition that compiles is refused for another reason, such as names that another kind has.
fn is_refused(definition: &Value) -> bool {
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        [CONDITION_ACCEPTED, CONDITION_NAMES_ACCEPTED].iter().any(|named| condition["type"] == *named)
            && condition["status"] == "False"
            && condition["observedGeneration"] == definition["metadata"]["generation"]
    })
}

/// What is shown of a kind.
struct KindRows {
    kind: Vec<String>,
    served: bool,
    instances: Vec<Vec<String>>,
}

/// The row of a kind, and those of its instances; nothing for a kind of which no version is to be served.
async fn rows(client: &Client, kind: &Kind) -> Option<KindRows> {
    let version = kind.served_versions().next()?;
    let names = &kind.names;
    let backend = if matches!(kind.backend, KindBackend::Release(_)) { "HelmRelease" } else { "own store" };
    let of_version = GroupVersionKind::gvk(&kind.group, &version.name, &names.kind);
    let resource = ApiResource::from_gvk_with_plural(&of_version, &names.plural);
    let few = ListParams::default().limit(INSTANCES_SHOWN_MAX);
    let listed = Api::<DynamicObject>::all_with(client.clone(), &resource).list_metadata(&few).await;
    let served = listed.is_ok();
    let row = vec![
        format!("{}.{}", names.plural, kind.group),
        names.short_names.join(","),
        version.name.clone(),
        names.kind.clone(),
        backend.to_owned(),
        if served { "served" } else { "not served" }.to_owned(),
    ];
    let more = listed.as_ref().ok().and_then(|listed| listed.metadata.remaining_item_count);
    let more = more.map(|more| vec![String::new(), format!("and {more} more {}", names.plural)]);
    let metadata = listed.into_iter().flatten().map(|instance| instance.metadata);
    let instance = |metadata: kube::core::ObjectMeta| {
        let name = format!("{}/{}", names.singular, metadata.name.unwrap_or_default());
        vec![metadata.namespace.unwrap_or_default(), name]
    };
    Some(KindRows { kind: row, served, instances: metadata.map(instance).chain(more).collect() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_definition_is_refused_by_a_condition_of_its_generation() {
        let with = |kind: &str, status: &str, observed: i64| {
            let condition = json!({"type": kind, "status": status, "observedGeneration": observed});
            super::is_refused(&json!({"metadata": {"generation": 2}, "status": {"conditions": [condition]}}))
        };
        assert!(with("NamesAccepted", "False", 2));
        assert!(with("Accepted", "False", 2));
        assert!(!with("NamesAccepted", "False", 1), "it says nothing of the generation that is there");
        assert!(!with("NamesAccepted", "True", 2));
        assert!(!with("Ready", "False", 2), "what is not ready yet may become it");
        assert!(!super::is_refused(&json!({"metadata": {"generation": 1}})));
    }

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let rows = vec![vec!["a".to_owned(), "long cell".to_owned()], vec!["bcdef".to_owned(), "x".to_owned()]];
        assert_eq!(super::table(&["ONE", "TWO"], &rows), "ONE     TWO\na       long cell\nbcdef   x\n");
    }
}
