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

/// What a chart's templates do with values.
mod templates;

/// Fields whose values become objects of any kind.
mod any_object;

/// What tenants could do with fields.
mod concerns;

/// How instances are used.
mod usage;

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
use templates::ValuePath;
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
    /// Keep a field whose values become objects of any kind, such as spec.extraDeploy; may be given again
    #[arg(long, value_name = "PATH")]
    keep: Vec<String>,
}

/// Runs one of them.
pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    let Command::FromChart(arguments) = command;
    let chart = Chart::read(&arguments.chart)?;
    let mut warnings = Warnings::default();
    let mut definition = definition(&chart, arguments, &mut warnings)?;
    let mut suggestion = usage::suggest(&chart, spec_schema(&definition));
    suggestion.apply(&mut definition);
    warnings.lines().iter().for_each(|line| output::complain(line));
    if let Err(error) = DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent) {
        bail!("the definition of chart {:?} would not be accepted: {error}", chart.name);
    }
    let mut text = yaml::write(&definition);
    // The version is what is written last.
    suggestion.comments(&chart).iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    output::print(&text)
}

/// The schema of the values in a definition.
fn spec_schema(definition: &Value) -> &Value {
    definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap_or(&Value::Null)
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
    let mut schema = json!({"type": "object", "properties": {"spec": spec(chart, &arguments.keep, warnings)}});
    if !chart.description.is_empty() {
        schema["description"] = json!(chart.description);
    }
    tidy::require_without_default(&mut schema, "spec");
    tidy::decode_entities(&mut schema);
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

/// How many fields that are left out are named.
const LEFT_OUT_NAMED_MAX: usize = 6;

/// The schema of the values: what the chart's own schema says, made complete by the values. Fields whose values become
/// objects of any kind are left out, but for those that somebody wants to keep.
fn spec(chart: &Chart, keep: &[String], warnings: &mut Warnings) -> Value {
    let mut spec = match &chart.schema {
        Some(schema) => schema::structural(schema, &chart.values, warnings),
        None => json!({"type": "object"}),
    };
    let mut keep = Kept::new(keep);
    let unwanted: Vec<ValuePath> = any_object::find(chart, &spec).into_iter().filter(|path| !keep.has(path)).collect();
    let mut values = chart.values.clone();
    let mut left_out = Vec::new();
    for path in &unwanted {
        let was_there = any_object::leave_out(&mut spec, path);
        if any_object::drop_value(&mut values, path) || was_there {
            left_out.push(shown(path));
        }
    }
    tidy::concede_all_but_defaults(&mut spec, warnings);
    tidy::drop_wrong_defaults(&mut spec, &mut vec!["spec".to_owned()], warnings);
    infer::complete(&mut spec, &values, &comments::read(&chart.values_text), warnings);
    tidy::drop_met_everywhere(&mut spec);
    tidy::know_required(&mut spec);
    let of_absent = any_object::of_absent_subcharts(chart).into_iter().filter(|path| !keep.has(path));
    for path in unwanted.into_iter().chain(of_absent) {
        let name = shown(&path);
        if any_object::refuse(&mut spec, &path) && !left_out.contains(&name) {
            left_out.push(name);
        }
    }
    tidy::concede(&mut spec, warnings);
    if !left_out.is_empty() {
        let more = left_out.len().saturating_sub(LEFT_OUT_NAMED_MAX);
        left_out.truncate(LEFT_OUT_NAMED_MAX);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        warnings.decide(format!(
            "left out, as values become objects of any kind, with the rights of Flux: {}{more} (--keep PATH has one)",
            left_out.join(", ")
        ));
    }
    for path in keep.unused() {
        warnings.decide(format!("--keep {path}: no such field would be left out"));
    }
    concerns::lines(&spec).into_iter().for_each(|line| warnings.decide(line));
    spec
}

fn shown(path: &ValuePath) -> String {
    format!("spec.{}", path.join("."))
}

/// Fields that somebody wants to keep.
struct Kept<'a> {
    /// Each with what was given, and whether there was such a field.
    paths: Vec<(String, &'a str, bool)>,
}

impl<'a> Kept<'a> {
    /// Of paths with `spec.` before them or without it.
    fn new(given: &'a [String]) -> Self {
        let path =
            |given: &'a String| (format!("spec.{}", given.strip_prefix("spec.").unwrap_or(given)), &**given, false);
        Self { paths: given.iter().map(path).collect() }
    }

    fn has(&mut self, path: &ValuePath) -> bool {
        let path = shown(path);
        let held = self.paths.iter_mut().find(|(held, _, _)| *held == path);
        held.map(|(_, _, is_used)| *is_used = true).is_some()
    }

    fn unused(&self) -> Vec<&'a str> {
        self.paths.iter().filter(|(_, _, is_used)| !is_used).map(|(_, given, _)| *given).collect()
    }
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::{field::FieldPath, structural::Schema};

    use super::*;

    fn arguments() -> FromChart {
        FromChart {
            chart: PathBuf::new(),
            group: "apps.example.com".to_owned(),
            kind: None,
            plural: None,
            chart_ref: None,
            keep: Vec::new(),
        }
    }

    fn chart(values: &str, schema: Option<Value>) -> Chart {
        Chart {
            name: "redis-cluster".to_owned(),
            description: "Redis, sharded".to_owned(),
            values: chart::yaml(values).unwrap(),
            values_text: values.to_owned(),
            schema,
            ..Chart::default()
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
    fn what_helm_wants_to_be_given_is_required() {
        let schema = json!({"type": "object", "required": ["policy", "any", "may"], "properties": {
            "policy": {"type": "string"}, "any": {}, "may": {"type": ["string", "null"]}, "left": {"type": "string"},
            "auth": {"type": "object", "properties": {"store": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"}, "size": {"type": "integer"}
            }}}}
        }});
        let values =
            "policy: null\nany: null\nmay: null\nleft: null\nauth:\n  user: admin\n  store: {name: null, size: 3}\n";
        let chart = chart(values, Some(schema));
        let definition = definition(&chart, &arguments(), &mut Warnings::default()).unwrap();
        assert!(DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent).is_ok());
        let whole = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_eq!(whole["required"], json!(["spec"]));
        let schema = Schema::compile(whole, &FieldPath::root()).unwrap();
        let faults = |spec: Value| {
            let mut object = json!({"apiVersion": "a/v1", "kind": "A", "spec": spec});
            if object["spec"].is_null() {
                object.as_object_mut().unwrap().remove("spec");
            }
            schema.prune(&mut object);
            schema.default(&mut object);
            (schema.validate(&object).into_iter().map(|error| error.field).collect::<Vec<_>>(), object["spec"].clone())
        };
        let given = json!({"policy": "x", "any": null, "may": null, "left": null, "auth": {"store": {"name": "n"}}});
        let (refused, filled) = faults(given.clone());
        assert_eq!(refused, Vec::<String>::new());
        assert_eq!(filled["auth"], json!({"user": "admin", "store": {"name": "n", "size": 3}}));
        assert_eq!(faults(Value::Null).0, ["spec"]);
        for (place, refused) in [("/policy", "spec.policy"), ("/auth/store/name", "spec.auth.store.name")] {
            let mut without = given.clone();
            *without.pointer_mut(place).unwrap() = Value::Null;
            assert_eq!(faults(without).0, [refused]);
        }
        assert_eq!(faults(json!({"policy": "x", "any": 1, "may": "x"})).0, ["spec.auth"]);
    }

    #[test]
    fn an_instance_without_anything_has_all_defaults() {
        let definition = definition(&chart("a: {b: {c: 1}}\n", None), &arguments(), &mut Warnings::default()).unwrap();
        let whole = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_eq!((whole.get("required"), &whole["properties"]["spec"]["default"]), (None, &json!({})));
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
