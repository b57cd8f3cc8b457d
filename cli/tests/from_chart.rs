//! `kindsmith definition from-chart`, with the binary itself and charts as there are: what it prints is a definition
//! that is accepted, and the chart's own values are an instance of it.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context as _, Result, ensure};
use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm, structural::Schema};
use serde_json::{Value, json};

const CHART: &str = "apiVersion: v2\nname: web\nversion: 0.1.0\ndescription: A web server\n";

/// As `helm create` writes it, some parts left out.
const CREATED: &str = r##"# Default values for web.
# Declare variables to be passed into your templates.

# This will set the replicaset count more information can be found here: https://example.com/replicaset/
replicaCount: 1

# This sets the container image more information can be found here: https://example.com/images/
image:
  repository: nginx
  # This sets the pull policy for images.
  pullPolicy: IfNotPresent
  # Overrides the image tag whose default is the chart appVersion.
  tag: ""

serviceAccount:
  # Specifies whether a service account should be created
  create: true
  annotations: {}
securityContext: {}
  # capabilities:
  #   drop:
  #   - ALL
  # runAsUser: 1000

service:
  type: ClusterIP
  port: 80
ingress:
  enabled: false
  className: ""
  annotations: {}
    # kubernetes.io/ingress.class: nginx
    # kubernetes.io/tls-acme: "true"
  hosts:
    - host: chart-example.local
      paths:
        - path: /
          pathType: ImplementationSpecific
  tls: []
  #  - secretName: chart-example-tls
  #    hosts:
  #      - chart-example.local

resources: {}
  # We usually recommend not to specify default resources and to leave this as a conscious
  # choice for the user. If you do want to specify resources, uncomment the following
  # limits:
  #   cpu: 100m
# Additional volumes on the output Deployment definition.
volumes: []
# - name: foo
#   secret:
#     secretName: mysecret
nodeSelector: {}
"##;

/// In the style of Bitnami's charts.
const BITNAMI: &str = r##"## @section Global parameters
## @param global.imageRegistry Global Docker image registry
## @param global.imagePullSecrets Global Docker registry secret names as an array
##
global:
  imageRegistry: ""
  ## E.g.
  ## imagePullSecrets:
  ##   - myRegistryKeySecretName
  ##
  imagePullSecrets: []
## Bitnami Web image
## ref: https://hub.docker.com/r/bitnami/web/tags/
## @param image.registry [default: REGISTRY_NAME] Web image registry
## @param image.pullPolicy Web image pull policy
## @skip image.repository
##
image:
  registry: docker.io
  repository: bitnami/web
  pullPolicy: IfNotPresent
master:
  service:
    ports:
      ## @param master.service.ports.http Service port
      ##
      http: 6379
  ## @param master.updateStrategy.type Statefulset strategy type
  ##
  updateStrategy:
    type: RollingUpdate
    rollingUpdate: null
  ## @param master.extraEnvVars [array] Array with extra environment variables
  ## e.g:
  ## extraEnvVars:
  ##   - name: FOO
  ##     value: "bar"
  ##
  extraEnvVars: []
  configuration: |-
    # Enable AOF https://redis.io/topics/persistence#append-only-file
    appendonly yes
"##;

const WITH_SCHEMA: &str = "replicas: 3\nport: 80\nmode: cluster\nname: \"a b\"\nnote: null\n\
    labels: {app: web, tier: front}\nresources: {cpu: 500m}\nstorage: {kind: disk, size: 1Gi}\nrules:\n- name: a\n\
    \x20 children: [{name: b, children: []}]\nextra: {a: 1}\n";

/// With definitions, alternatives, conditions and a reference that goes round.
const ITS_SCHEMA: &str = r##"{
  "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["replicas", "mode"],
  "definitions": {
    "port": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    "positive": {"type": "integer", "minimum": 1},
    "rule": {"type": "object", "required": ["name"], "properties": {
      "name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/definitions/rule"}}}}
  },
  "properties": {
    "replicas": {"allOf": [{"$ref": "#/definitions/positive"}], "description": "How many"},
    "port": {"$ref": "#/definitions/port"},
    "mode": {"enum": ["standalone", "cluster"]},
    "name": {"type": "string", "pattern": "^(?!kube-)"},
    "note": {"type": ["string", "null"]},
    "labels": {"type": "object", "patternProperties": {"^[a-z]+$": {"type": "string"}}, "additionalProperties": false},
    "resources": {"type": "object", "additionalProperties": {"type": "string"}},
    "storage": {"oneOf": [
      {"type": "object", "properties": {"kind": {"const": "disk"}, "size": {"type": "string"}}, "required": ["kind"]},
      {"type": "object", "properties": {"kind": {"const": "none"}}, "required": ["kind"]}]},
    "rules": {"type": "array", "items": {"$ref": "#/definitions/rule"}}
  },
  "if": {"properties": {"mode": {"const": "cluster"}}}, "then": {"properties": {"replicas": {"minimum": 3}}}
}"##;

struct Made {
    definition: Value,
    schema: Schema,
    told: String,
}

impl Made {
    fn spec(&self, path: &str) -> &Value {
        let pointer = path.split('.').map(|name| match name {
            "[]" => "/items".to_owned(),
            "*" => "/additionalProperties".to_owned(),
            name => format!("/properties/{name}"),
        });
        let pointer =
            format!("{}/properties/spec{}", "/spec/versions/0/schema/openAPIV3Schema", pointer.collect::<String>());
        self.definition.pointer(&pointer).unwrap_or(&Value::Null)
    }

    /// An instance as it is kept; faults and what is dropped are errors.
    fn instance(&self, spec: &Value) -> Result<Value> {
        let mut object = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Web", "metadata": {"name": "a"}});
        object["spec"] = spec.clone();
        let dropped = self.schema.prune(&mut object);
        ensure!(dropped.is_empty(), "dropped: {dropped:?}");
        self.schema.default(&mut object);
        let errors = self.schema.validate(&object);
        ensure!(errors.is_empty(), "{errors:?}");
        Ok(object["spec"].take())
    }
}

fn run(chart: &Path, args: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kindsmith"));
    Ok(command.args(["definition", "from-chart"]).arg(chart).args(args).output()?)
}

fn made(files: &[(&str, &str)]) -> Result<Made> {
    let folder = tempfile::tempdir()?;
    write(folder.path(), files)?;
    from(folder.path())
}

fn write(folder: &Path, files: &[(&str, &str)]) -> Result<()> {
    for (name, text) in files {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().context("no folder")?)?;
        fs::write(file, text)?;
    }
    Ok(())
}

fn from(chart: &Path) -> Result<Made> {
    from_with(chart, &[])
}

fn from_with(chart: &Path, args: &[&str]) -> Result<Made> {
    let output = run(chart, &[&["--group", "apps.example.com"], args].concat())?;
    let told = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{told}");
    let definition: Value = serde_saphyr::from_str(std::str::from_utf8(&output.stdout)?)?;
    let kind = DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent)?;
    let schema = kind.storage_version().context("no version")?.schema.clone();
    Ok(Made { definition, schema, told })
}

/// The values of the chart are an instance that loses nothing; an empty one has them by default, where Kubernetes has
/// defaults: not for null.
fn keeps_its_values(files: &[(&str, &str)]) -> Result<Made> {
    let made = made(files)?;
    let text = files.iter().find(|(name, _)| *name == "values.yaml").context("no values")?.1;
    let values: Value = serde_saphyr::from_str(text)?;
    assert_eq!(made.instance(&values)?, values, "the values as an instance");
    let (mut wanted, mut kept) = (values, made.instance(&json!({}))?);
    drop_nulls(&mut wanted);
    drop_nulls(&mut kept);
    assert_eq!(kept, wanted, "an empty instance");
    Ok(made)
}

fn drop_nulls(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, value| !value.is_null());
        members.values_mut().for_each(drop_nulls);
    }
}

#[test]
fn a_chart_of_helm_create_is_described_by_its_comments_and_keeps_its_values() -> Result<()> {
    let made = keeps_its_values(&[("Chart.yaml", CHART), ("values.yaml", CREATED)])?;
    let wanted = "\
warning: host access: what pods get of the node and its kernel is up to tenants: 2 fields: spec.securityContext, spec.volumes
warning: service accounts and roles: what pods may do in the cluster is up to tenants: 1 field: spec.serviceAccount
warning: images: which programs run is up to tenants: 2 fields: spec.image.repository, spec.image.tag
";
    assert_eq!(made.told, wanted);
    assert_eq!(
        made.spec("replicaCount")["description"],
        json!("This will set the replicaset count more information can be found here: https://example.com/replicaset/")
    );
    for undescribed in ["ingress.hosts", "ingress.className", "nodeSelector", "ingress.tls", "securityContext"] {
        assert_eq!(made.spec(undescribed).get("description"), None, "{undescribed}");
    }
    assert_eq!(
        made.spec("resources"),
        &json!({"type": "object", "default": {}, "x-kubernetes-preserve-unknown-fields": true})
    );
    assert_eq!(made.spec("ingress.hosts")["items"]["type"], "object");
    let asked = json!({"resources": {"limits": {"cpu": "1"}}, "ingress": {"annotations": {"a/b": "c"}}});
    let kept = made.instance(&asked)?;
    assert_eq!(
        (&kept["resources"], &kept["ingress"]["annotations"]),
        (&asked["resources"], &asked["ingress"]["annotations"])
    );
    Ok(())
}

#[test]
fn a_chart_of_bitnami_is_described_by_its_parameters_and_keeps_its_values() -> Result<()> {
    let made = keeps_its_values(&[("Chart.yaml", CHART), ("values.yaml", BITNAMI)])?;
    let description = |path: &str| made.spec(path)["description"].as_str().unwrap_or_default().to_owned();
    assert_eq!(description("image.registry"), "Web image registry");
    assert_eq!(description("image.pullPolicy"), "Web image pull policy");
    assert_eq!(description("master.service.ports.http"), "Service port");
    assert_eq!(description("master.extraEnvVars"), "Array with extra environment variables");
    assert_eq!(description("image"), "Bitnami Web image ref: https://hub.docker.com/r/bitnami/web/tags/");
    assert_eq!(made.spec("master.updateStrategy.rollingUpdate")["nullable"], json!(true));
    Ok(())
}

#[test]
fn a_schema_with_definitions_bounds_values_and_keeps_them() -> Result<()> {
    let files = [("Chart.yaml", CHART), ("values.yaml", WITH_SCHEMA), ("values.schema.json", ITS_SCHEMA)];
    let made = keeps_its_values(&files)?;
    assert_eq!(made.spec("port")["x-kubernetes-int-or-string"], true);
    assert_eq!(made.spec("mode"), &json!({"type": "string", "enum": ["standalone", "cluster"], "default": "cluster"}));
    assert_eq!(
        made.spec("labels"),
        &json!({
            "type": "object", "additionalProperties": {"type": "string"}, "default": {"app": "web", "tier": "front"}
        })
    );
    assert_eq!(made.spec("rules.[].children.[]")["x-kubernetes-preserve-unknown-fields"], true);
    for told in ["is a part of itself", "no such pattern", "spec.name"] {
        assert!(made.told.contains(told), "{told}: {}", made.told);
    }
    for wrong in
        [json!({"mode": "other"}), json!({"replicas": 0}), json!({"resources": {"cpu": 1}}), json!({"typo": 1})]
    {
        assert!(made.instance(&wrong).is_err(), "{wrong}");
    }
    let right = json!({"port": "http", "note": null, "rules": [{"name": "a", "children": [{"name": "b", "x": 1}]}]});
    assert_eq!(made.instance(&right)?["rules"], right["rules"]);
    Ok(())
}

/// In the shape of Bitnami's charts: a library, a subchart that is there and one that is not.
const WITH_OBJECTS: [(&str, &str); 11] = [
    (
        "Chart.yaml",
        "apiVersion: v2\nname: web\nversion: 0.1.0\ndependencies: [{name: common}, {name: redis}, {name: postgresql, alias: db}]\n",
    ),
    (
        "values.yaml",
        "## @param extraDeploy Array of extra objects\nextraDeploy: []\nmanifestsOfOthers: {}\nparts: {}\nextraResources: {}\n\
         redis:\n  enabled: true\n  extraDeploy: []\n  master: {}\ndb: {}\n",
    ),
    (
        "templates/extra-list.yaml",
        "{{- range .Values.extraDeploy }}\n---\n{{ include \"common.tplvalues.render\" (dict \"value\" . \"context\" $) }}\n{{- end }}\n",
    ),
    (
        "templates/others.yaml",
        "{{- range $name, $manifest := .Values.manifestsOfOthers }}\n---\n{{ tpl (toYaml $manifest) $ }}\n{{- end }}\n",
    ),
    (
        "templates/parts.yaml",
        "{{- range .Values.parts }}\n---\napiVersion: v1\nkind: ConfigMap\ndata: {{ toYaml .data | nindent 2 }}\n\
         {{- with .objects }}\n---\n{{ . | toYaml }}\n{{- end }}\n{{- end }}\n",
    ),
    (
        "templates/deployment.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n      - name: web\n        \
         resources: {{- toYaml .Values.extraResources | nindent 10 }}\n",
    ),
    ("charts/common/Chart.yaml", "name: common\ntype: library\n"),
    (
        "charts/common/templates/_tplvalues.tpl",
        "{{- define \"common.tplvalues.render\" -}}\n{{- $value := typeIs \"string\" .value | ternary .value (.value | toYaml) }}\n\
         {{- if contains \"{{\" (toJson .value) }}\n{{- tpl $value .context }}\n{{- else }}\n{{- $value }}\n{{- end }}\n{{- end -}}\n",
    ),
    ("charts/redis/Chart.yaml", "name: redis\n"),
    ("charts/redis/values.yaml", "extraDeploy: []\nmaster: {more: []}\n"),
    (
        "charts/redis/templates/all.yaml",
        "{{- range concat .Values.extraDeploy .Values.master.more }}\n---\n{{ toYaml . }}\n{{- end }}\n",
    ),
];

#[test]
fn fields_for_any_object_are_left_out_unless_they_are_kept() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let chart = folder.path().join("web");
    write(&chart, &WITH_OBJECTS)?;
    let made = from(&chart)?;
    let wanted = "\
warning: left out, as values become objects of any kind, with the rights of Flux: spec.extraDeploy, spec.manifestsOfOthers, \
spec.redis.extraDeploy, spec.parts.*.objects, spec.redis.master.more, spec.db.extraDeploy and 5 more (--keep PATH has one)
";
    assert_eq!(made.told, wanted);
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding"});
    for refused in [
        json!({"extraDeploy": [binding]}),
        json!({"manifestsOfOthers": {"a": binding}}),
        json!({"redis": {"extraDeploy": [binding]}}),
        json!({"redis": {"master": {"more": [binding]}}}),
        json!({"db": {"extraDeploy": [binding]}}),
        json!({"db": {"extraObjects": [binding]}}),
    ] {
        assert!(made.instance(&refused).is_err(), "{refused}");
    }
    let taken = json!({
        "extraResources": {"limits": {"cpu": 1}}, "redis": {"enabled": false, "master": {"count": 1}},
        "db": {"auth": {"database": "x"}}, "parts": {"a": {"data": {"b": "c"}}}
    });
    let kept = made.instance(&taken)?;
    assert_eq!((&kept["extraResources"], &kept["db"]), (&taken["extraResources"], &taken["db"]));

    let made = from_with(&chart, &["--keep", "extraDeploy", "--keep=spec.redis.extraDeploy", "--keep", "spec.no"])?;
    made.instance(&json!({"extraDeploy": [binding], "redis": {"extraDeploy": [binding]}}))?;
    assert_eq!(made.spec("extraDeploy")["description"], "Array of extra objects");
    assert!(made.told.contains("warning: --keep spec.no: no such field would be left out\n"), "{}", made.told);
    assert!(!made.told.contains("spec.extraDeploy"), "{}", made.told);
    assert!(made.instance(&json!({"manifestsOfOthers": {"a": binding}})).is_err());
    Ok(())
}

#[test]
fn an_archive_with_archives_inside_has_the_same_fields_for_any_object() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let chart = folder.path().join("web");
    write(&chart, &WITH_OBJECTS)?;
    let wanted = from(&chart)?;
    let packed = |of: &Path, name: &str, tgz: &Path| -> Result<()> {
        ensure!(Command::new("tar").arg("-czf").arg(tgz).arg("-C").arg(of).arg(name).status()?.success());
        Ok(())
    };
    let subcharts = chart.join("charts");
    for name in ["redis", "common"] {
        packed(&subcharts, name, &subcharts.join(format!("{name}-1.0.0.tgz")))?;
        fs::remove_dir_all(subcharts.join(name))?;
    }
    let tgz = folder.path().join("web.tgz");
    packed(folder.path(), "web", &tgz)?;
    for chart in [chart, tgz] {
        let made = from(&chart)?;
        assert_eq!((&made.definition, &made.told), (&wanted.definition, &wanted.told), "{}", chart.display());
    }
    Ok(())
}

#[test]
fn values_of_every_kind_are_instances() -> Result<()> {
    let values = "none: null\ntilde: ~\nempty:\nlist: []\nmap: {}\nnested: {a: {b: {}, c: null}}\nmixed: [1, a, null]\n\
        nulls: [null]\nlists: [[1], [a]]\nobjects: [{a: 1}, {b: {c: null}}]\nlarge: 12345678901\nfloat: 1.5\n\
        base: &base {x: 1, w: [1, 2]}\nmerged:\n  <<: *base\n  z: {<<: *base}\nsame: *base\n\
        \"dotted.key\": {\"a/b\": 1}\ntext: |\n  # no comment\n  a: b\n\
        quoted: \"on\"\noctal: \"0644\"\ntime: \"1:20\"\nflag: true\n";
    let made = keeps_its_values(&[("Chart.yaml", CHART), ("values.yaml", values)])?;
    let anything = json!({"x-kubernetes-preserve-unknown-fields": true, "nullable": true});
    assert_eq!((made.spec("none"), made.spec("nested.a.c")), (&anything, &anything));
    assert_eq!(made.spec("merged.z.x"), &json!({"type": "integer", "default": 1}));
    made.instance(&json!({"none": {"a": 1}, "list": [{"a": 1}], "map": {"a": 1}, "mixed": [{"x": 1}]}))?;
    Ok(())
}

#[test]
fn values_that_their_schema_does_not_speak_of_are_known() -> Result<()> {
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {
        "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "integer"}}}},
        "text": {"type": "string"}, "choice": {"enum": ["a", "b"]}, "closed": {"additionalProperties": false},
        "sized": {"required": ["a"], "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
    }});
    let values = "list: [{a: 1, b: 2}]\nmap: {x: {a: 1, b: null}}\ntext: null\nchoice: null\nclosed: {a: {b: 1}}\n\
        sized: {a: 1, b: 2}\nextra: {c: 1}\n";
    keeps_its_values(&[("Chart.yaml", CHART), ("values.yaml", values), ("values.schema.json", &schema.to_string())])?;
    Ok(())
}

#[test]
fn values_that_contradict_their_schema_are_told_and_are_no_defaults() -> Result<()> {
    let schema = json!({"type": "object", "required": ["password"], "properties": {
        "size": {"type": "integer", "default": "x"}, "password": {"type": "string", "minLength": 8},
        "host": {"type": "string", "format": "hostname"}, "auth": {"required": ["user"], "properties": {"user": {}}}
    }});
    let values = "size: large\npassword: \"\"\nhost: \"*.example.com\"\nauth: {}\n";
    let files = [("Chart.yaml", CHART), ("values.yaml", values), ("values.schema.json", &schema.to_string())];
    let made = made(&files)?;
    assert_eq!(made.spec("size"), &json!({"type": "integer"}));
    assert_eq!(made.spec("host"), &json!({"type": "string", "default": "*.example.com"}));
    assert_eq!(made.told.lines().count(), 5, "{}", made.told);
    assert!(made.told.contains("passwords in plain text: "), "{}", made.told);
    assert!(made.instance(&json!({})).is_err(), "a password must be given");
    // Helm itself would refuse the values without these.
    assert!(made.instance(&json!({"password": "12345678"})).is_err(), "a user must be given");
    made.instance(&json!({"password": "12345678", "auth": {"user": "a"}}))?;
    Ok(())
}

#[test]
fn names_of_a_chart_are_made_valid() -> Result<()> {
    for (name, kind, plural, prefix) in [
        ("redis-cluster", "RedisCluster", "redisclusters", "redis-cluster-"),
        ("My_Chart.v2", "MyChartV2", "mychartv2s", "my-chart-v2-"),
        ("3proxy", "App3proxy", "app3proxies", "3proxy-"),
    ] {
        let chart = format!("name: {name}\n");
        let made = made(&[("Chart.yaml", &chart)])?;
        let spec = &made.definition["spec"];
        assert_eq!((&spec["names"]["kind"], &spec["names"]["plural"]), (&json!(kind), &json!(plural)));
        assert_eq!(spec["backend"]["helmRelease"]["prefix"], json!(prefix));
        made.instance(&json!({"anything": 1}))?;
    }
    let long = format!("name: {}\n", "y".repeat(200));
    made(&[("Chart.yaml", &long)])?;
    assert!(made(&[("Chart.yaml", "name: \"-\"\n")]).is_err());
    Ok(())
}

#[test]
fn a_packed_chart_gives_what_its_folder_gives() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // A long name, so that tar needs headers of its own for it.
    let top = format!("web-{}", "x".repeat(120));
    let chart = folder.path().join(&top);
    fs::create_dir_all(chart.join("templates"))?;
    fs::create_dir_all(chart.join("charts/sub"))?;
    for (name, text) in [
        ("Chart.yaml", CHART),
        ("values.yaml", WITH_SCHEMA),
        ("values.schema.json", ITS_SCHEMA),
        ("templates/values.yaml", "not: this"),
        ("charts/sub/Chart.yaml", "name: sub"),
    ] {
        fs::write(chart.join(name), text)?;
    }
    let wanted = from(&chart)?.definition;
    for format in ["pax", "gnu"] {
        let tgz = folder.path().join(format!("{format}.tgz"));
        let mut tar = Command::new("tar");
        tar.arg(format!("--format={format}")).arg("-czf").arg(&tgz).arg("-C").arg(folder.path()).arg(&top);
        ensure!(tar.status()?.success());
        assert_eq!(from(&tgz)?.definition, wanted, "{format}");
    }
    let outside = folder.path().join("outside.tgz");
    let packed = Command::new("tar").args(["-P", "-czf"]).arg(&outside).arg(&chart).output()?;
    ensure!(packed.status.success());
    assert!(from(&outside).is_err_and(|error| error.to_string().contains("is outside of the chart")));
    Ok(())
}

#[test]
fn what_is_printed_passes_the_check() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let chart = folder.path();
    for (name, text) in [("Chart.yaml", CHART), ("values.yaml", WITH_SCHEMA), ("values.schema.json", ITS_SCHEMA)] {
        fs::write(chart.join(name), text)?;
    }
    let printed = run(chart, &[])?.stdout;
    fs::write(chart.join("definition.yaml"), printed)?;
    let checked =
        Command::new(env!("CARGO_BIN_EXE_kindsmith")).arg("check").arg(chart.join("definition.yaml")).output()?;
    assert!(checked.status.success(), "{checked:?}");
    Ok(())
}
