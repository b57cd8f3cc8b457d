//! `kindsmith definition from-chart`: an ApplicationDefinition out of a Helm chart, to begin with.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};
use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm, yaml};
use serde_json::{Value, json};

/// A chart's files, from a folder or an archive.
mod chart;

/// Files out of a tar archive.
mod archive;

/// Comments of `values.yaml`, as descriptions.
mod comments;

/// `values.schema.json` as a structural schema.
mod schema;

/// A schema out of `values.yaml`.
mod infer;

/// What makes a schema one that is accepted.
mod tidy;

/// What Kindsmith would say of a schema.
mod judge;

/// Names that Kubernetes takes.
mod names;

/// What somebody should know about a definition.
mod warnings;

use crate::output;

use chart::Chart;
use warnings::Warnings;

/// What can be done with definitions.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print an ApplicationDefinition for a Helm chart: its schema from values.schema.json and values.yaml
    FromChart(FromChart),
}

/// Flags of `kindsmith definition from-chart`.
#[derive(Args)]
pub(crate) struct FromChart {
    /// The chart: a folder, or the .tgz that helm package makes
    #[arg(value_name = "DIR|TGZ")]
    chart: PathBuf,
    /// The API group of the kind
    #[arg(long, value_name = "GROUP", default_value = "apps.example.com")]
    group: String,
    /// The kind [default: the name of the chart]
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// The resource in URLs [default: the plural of the kind]
    #[arg(long, value_name = "PLURAL")]
    plural: Option<String>,
    /// Where Flux finds the chart [default: OCIRepository/charts/ and the name of the chart]
    #[arg(long, value_name = "KIND/NAMESPACE/NAME")]
    chart_ref: Option<String>,
}

/// Runs one of them.
pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    let Command::FromChart(arguments) = command;
    let chart = Chart::read(&arguments.chart)?;
    let mut warnings = Warnings::default();
    let definition = definition(&chart, arguments, &mut warnings)?;
    warnings.lines().iter().for_each(|line| output::complain(line));
    if let Err(error) = DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent) {
        bail!("the definition of chart {:?} would not be accepted: {error}", chart.name);
    }
    output::print(&yaml::write(&definition))
}

fn definition(chart: &Chart, arguments: &FromChart, warnings: &mut Warnings) -> anyhow::Result<Value> {
    let Some(kind) = arguments.kind.clone().or_else(|| names::kind(&chart.name)) else {
        bail!("no kind can be made of the name {:?}: say one with --kind", chart.name);
    };
    let plural = arguments.plural.clone().unwrap_or_else(|| names::plural(&kind.to_lowercase()));
    let reference = arguments.chart_ref.clone();
    let reference = reference.unwrap_or_else(|| format!("OCIRepository/charts/{}", names::object(&chart.name)));
    let [source, namespace, name] = reference.split('/').collect::<Vec<_>>()[..] else {
        bail!("--chart-ref must be KIND/NAMESPACE/NAME, for example OCIRepository/charts/redis");
    };
    let mut schema = json!({"type": "object", "properties": {"spec": spec(chart, warnings)}});
    if !chart.description.is_empty() {
        schema["description"] = json!(chart.description);
    }
    Ok(json!({
        "apiVersion": "kindsmith.dev/v1alpha1",
        "kind": "ApplicationDefinition",
        "metadata": {"name": format!("{plural}.{}", arguments.group)},
        "spec": {
            "group": arguments.group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
            "backend": {"helmRelease": {
                "chartRef": {"kind": source, "namespace": namespace, "name": name},
                "prefix": names::prefix(&chart.name)
            }}
        }
    }))
}

/// The schema of the values: what the chart's own schema says, made complete by the values.
fn spec(chart: &Chart, warnings: &mut Warnings) -> Value {
    let mut spec = match &chart.schema {
        Some(schema) => schema::structural(schema, warnings),
        None => json!({"type": "object"}),
    };
    tidy::concede_all_but_defaults(&mut spec, warnings);
    tidy::drop_wrong_defaults(&mut spec, &mut vec!["spec".to_owned()], warnings);
    infer::complete(&mut spec, &chart.values, &comments::read(&chart.values_text), warnings);
    tidy::drop_met_everywhere(&mut spec);
    tidy::know_required(&mut spec);
    tidy::concede(&mut spec, warnings);
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments() -> FromChart {
        FromChart {
            chart: PathBuf::new(),
            group: "apps.example.com".to_owned(),
            kind: None,
            plural: None,
            chart_ref: None,
        }
    }

    fn chart(values: &str, schema: Option<Value>) -> Chart {
        Chart {
            name: "redis-cluster".to_owned(),
            description: "Redis, sharded".to_owned(),
            values: chart::yaml(values).unwrap(),
            values_text: values.to_owned(),
            schema,
        }
    }

    fn spec(chart: &Chart) -> Value {
        let definition = definition(chart, &arguments(), &mut Warnings::default()).unwrap();
        let judged = DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent);
        assert!(judged.is_ok(), "{judged:?}");
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
    }

    #[test]
    fn names_come_from_the_chart() {
        let definition = definition(&chart("{}", None), &arguments(), &mut Warnings::default()).unwrap();
        assert_eq!(definition["metadata"]["name"], "redisclusters.apps.example.com");
        assert_eq!(definition["spec"]["names"]["kind"], "RedisCluster");
        assert_eq!(definition["spec"]["backend"]["helmRelease"]["prefix"], "redis-cluster-");
        let wrong = FromChart { chart_ref: Some("redis".to_owned()), ..arguments() };
        assert!(super::definition(&chart("{}", None), &wrong, &mut Warnings::default()).is_err());
    }

    #[test]
    fn types_defaults_and_descriptions_come_from_values() {
        let spec = spec(&chart(
            "# -- How many nodes\nreplicas: 3\n\n## Where data is kept\nstorage:\n  # Its size\n  size: 1Gi\n\
             \x20 class: null\nhosts: []\nports: [80, 443]\nratio: 0.5\nlabels: {}\n",
            None,
        ));
        let replicas = json!({"type": "integer", "default": 3, "description": "How many nodes"});
        assert_eq!(spec["properties"]["replicas"], replicas);
        let storage = &spec["properties"]["storage"];
        assert_eq!((&storage["default"], &storage["description"]), (&json!({}), &json!("Where data is kept")));
        let size = json!({"type": "string", "default": "1Gi", "description": "Its size"});
        assert_eq!(storage["properties"]["size"], size);
        assert_eq!(storage["properties"]["class"]["x-kubernetes-preserve-unknown-fields"], true);
        assert_eq!(
            spec["properties"]["ports"],
            json!({"type": "array", "default": [80, 443], "items": {"type": "integer"}})
        );
        assert_eq!(spec["properties"]["labels"]["x-kubernetes-preserve-unknown-fields"], true);
        assert_eq!(spec["properties"]["ratio"]["type"], "number");
    }

    #[test]
    fn a_schema_of_the_chart_says_more_than_its_values() {
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {"size": {"type": "string", "pattern": "^[0-9]+Gi$"}},
            "type": "object", "required": ["name"],
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "size": {"$ref": "#/definitions/size", "description": "Of each node"},
                "port": {"type": ["integer", "string"]},
                "note": {"type": ["string", "null"]},
                "weight": {"type": "integer", "exclusiveMinimum": 0},
                "nested": {"type": "object", "additionalProperties": false, "properties": {"live": {"type": "boolean"}}},
                "any": {"if": {}, "then": {}}
            }
        });
        let spec = spec(&chart("size: 2Gi\nport: 80\nnested: {live: true}\nextra: x\nweight: wrong\n", Some(schema)));
        let properties = &spec["properties"];
        assert_eq!(spec["required"], json!(["name"]));
        assert!(spec.get("default").is_none(), "there is no default for the name");
        assert_eq!(
            properties["size"],
            json!({"type": "string", "pattern": "^[0-9]+Gi$", "description": "Of each node", "default": "2Gi"})
        );
        assert_eq!(properties["port"], json!({"x-kubernetes-int-or-string": true, "default": 80}));
        assert_eq!(properties["note"], json!({"type": "string", "nullable": true}));
        assert_eq!(properties["weight"], json!({"type": "integer", "minimum": 0, "exclusiveMinimum": true}));
        assert_eq!(properties["nested"]["properties"]["live"], json!({"type": "boolean", "default": true}));
        assert_eq!(properties["extra"], json!({"type": "string", "default": "x"}));
        assert_eq!(properties["any"]["x-kubernetes-preserve-unknown-fields"], true);
    }
}
