//! `kindsmith definition from-chart`: an ApplicationDefinition out of a Helm chart, to begin with.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};
use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm};
use serde_json::{Value, json};

/// A chart's files, from a folder or an archive.
mod chart;

/// Comments of `values.yaml`, as descriptions.
mod comments;

/// `values.schema.json` as a structural schema.
mod structural;

/// A schema out of `values.yaml`.
mod infer;

use chart::Chart;

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
    let definition = definition(&chart, arguments)?;
    if let Err(error) = DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent) {
        bail!("the definition of chart {:?} would not be accepted: {error}", chart.name);
    }
    print!("{}", serde_saphyr::to_string(&definition)?);
    Ok(())
}

fn definition(chart: &Chart, arguments: &FromChart) -> anyhow::Result<Value> {
    let kind = arguments.kind.clone().unwrap_or_else(|| camel_case(&chart.name));
    let plural = arguments.plural.clone().unwrap_or_else(|| plural(&kind.to_lowercase()));
    let reference = arguments.chart_ref.clone().unwrap_or_else(|| format!("OCIRepository/charts/{}", chart.name));
    let [source, namespace, name] = reference.split('/').collect::<Vec<_>>()[..] else {
        bail!("--chart-ref must be KIND/NAMESPACE/NAME, for example OCIRepository/charts/redis");
    };
    let mut spec = match &chart.schema {
        Some(schema) => structural::from_json_schema(schema),
        None => json!({"type": "object"}),
    };
    infer::complete(&mut spec, &chart.values, &comments::read(&chart.values_text));
    let mut schema = json!({"type": "object", "properties": {"spec": spec}});
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
                "prefix": format!("{}-", chart.name)
            }}
        }
    }))
}

/// `redis-cluster` → `RedisCluster`.
fn camel_case(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    name.split(|letter: char| !letter.is_ascii_alphanumeric()).map(word).collect()
}

/// The plural of an English word, as far as resources need it.
fn plural(word: &str) -> String {
    let ends = |endings: &[&str]| endings.iter().any(|ending| word.ends_with(ending));
    if ends(&["s", "x", "z", "ch", "sh"]) {
        format!("{word}es")
    } else if ends(&["y"]) && !ends(&["ay", "ey", "oy", "uy"]) {
        format!("{}ies", word.trim_end_matches('y'))
    } else {
        format!("{word}s")
    }
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
            values: serde_saphyr::from_str(values).unwrap(),
            values_text: values.to_owned(),
            schema,
        }
    }

    fn spec(chart: &Chart) -> Value {
        let definition = definition(chart, &arguments()).unwrap();
        let judged = DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent);
        assert!(judged.is_ok(), "{judged:?}");
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
    }

    #[test]
    fn names_come_from_the_chart() {
        let definition = definition(&chart("{}", None), &arguments()).unwrap();
        assert_eq!(definition["metadata"]["name"], "redisclusters.apps.example.com");
        assert_eq!(definition["spec"]["names"]["kind"], "RedisCluster");
        assert_eq!(definition["spec"]["backend"]["helmRelease"]["prefix"], "redis-cluster-");
        assert_eq!(["redis", "box", "proxy", "gateway"].map(plural), ["redises", "boxes", "proxies", "gateways"]);
        let wrong = FromChart { chart_ref: Some("redis".to_owned()), ..arguments() };
        assert!(super::definition(&chart("{}", None), &wrong).is_err());
    }

    #[test]
    fn types_defaults_and_descriptions_come_from_values() {
        let spec = spec(&chart(
            "# -- How many nodes\nreplicas: 3\n\n## Where data is kept\nstorage:\n  # Its size\n  size: 1Gi\n  class: null\n\
             hosts: []\nports: [80, 443]\nratio: 0.5\nlabels: {}\n",
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
                "nested": {"type": "object", "additionalProperties": false, "properties": {"on": {"type": "boolean"}}},
                "any": {"if": {}, "then": {}}
            }
        });
        let spec = spec(&chart("size: 2Gi\nport: 80\nnested: {on: true}\nextra: x\nweight: wrong\n", Some(schema)));
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
        assert_eq!(properties["nested"]["properties"]["on"], json!({"type": "boolean", "default": true}));
        assert_eq!(properties["extra"], json!({"type": "string", "default": "x"}));
        assert_eq!(properties["any"]["x-kubernetes-preserve-unknown-fields"], true);
    }
}
