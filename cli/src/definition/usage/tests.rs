use super::*;
use crate::definition::{FromChart, chart, definition, spec_schema, warnings::Warnings};

const HELPERS: &str = r#"
{{- define "web.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}
{{- define "web.labels" }}a: b{{ end }}
"#;

/// As `helm create` writes it.
const SERVICE: &str = r#"apiVersion: v1
kind: Service
metadata:
  name: {{ include "web.fullname" . }}
  labels:
    {{- include "web.labels" . | nindent 4 }}
  {{- with .Values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .Values.service.type }}
  ports:
    - port: {{ .Values.service.port }}
      targetPort: http
      protocol: TCP
      name: http
    - port: 9113
      name: metrics
  selector:
    {{- include "web.labels" . | nindent 4 }}
"#;

const VALUES: &str = "service: {type: ClusterIP, port: 80}\ningress: {enabled: false, host: a.example.com, hosts: []}\n\
    auth: {enabled: true, existing: \"\"}\nmap: {}\n";

/// A definition of a chart with these templates, and what is left to somebody.
fn made(templates: &[(&str, &str)]) -> (Value, Vec<String>) {
    let chart = Chart {
        name: "web".to_owned(),
        values: chart::yaml(VALUES).unwrap(),
        values_text: VALUES.to_owned(),
        templates: templates.iter().map(|(path, text)| (format!("templates/{path}"), (*text).to_owned())).collect(),
        ..Chart::default()
    };
    let arguments = FromChart {
        chart: std::path::PathBuf::new(),
        group: "apps.example.com".to_owned(),
        kind: None,
        plural: None,
        chart_ref: None,
        keep: Vec::new(),
    };
    let mut definition = definition(&chart, &arguments, &mut Warnings::default()).unwrap();
    let mut suggestion = suggest(&chart, spec_schema(&definition));
    suggestion.apply(&mut definition);
    let compiled = DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent);
    assert!(compiled.is_ok(), "{compiled:?}");
    (definition["spec"]["versions"][0].clone(), suggestion.comments(&chart))
}

#[test]
fn services_are_hosts_and_ports() {
    let (version, comments) = made(&[("_helpers.tpl", HELPERS), ("service.yaml", SERVICE)]);
    let host = "web-${self.metadata.name}.${self.metadata.namespace}.svc";
    assert_eq!(
        version["access"],
        json!([
            {"name": "http", "description": "From inside of the cluster.", "host": host,
                "port": "${self.spec.service.port}", "url": format!("http://{host}:${{self.spec.service.port}}")},
            {"name": "metrics", "description": "From inside of the cluster.", "host": host, "port": 9113},
        ])
    );
    assert!(comments[0].starts_with("# What users of an instance should know:"), "{comments:?}");
    assert!(!comments.iter().any(|line| line.contains("access")), "{comments:?}");
}

#[test]
fn a_condition_that_is_plain_goes_along() {
    let ingress = "{{- if .Values.ingress.enabled -}}\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n\
        \x20 name: {{ .Release.Name }}\nspec:\n  rules:\n  - host: {{ .Values.ingress.host | quote }}\n{{- end }}\n";
    let secret = "{{ if and .Values.auth.enabled (not .Values.ingress.enabled) }}\napiVersion: v1\nkind: Secret\nmetadata:\n\
        \x20 name: {{ printf \"%s-auth\" .Release.Name | trunc 63 | trimSuffix \"-\" }}\ndata:\n\
        \x20 admin-password: {{ randAlphaNum 9 | b64enc }}\n  USER: eA==\n{{ end }}\n";
    let (version, _) = made(&[("ingress.yaml", ingress), ("secret.yaml", secret)]);
    let when = "(self.spec.auth.enabled && !self.spec.ingress.enabled)";
    let name = "web-${self.metadata.name}-auth";
    assert_eq!(
        version["access"],
        json!([
            {"name": "web", "description": "From outside of the cluster.", "host": "${self.spec.ingress.host}",
                "when": "self.spec.ingress.enabled"},
            {"name": "user", "description": "The key USER of a Secret.", "secret": {"name": name, "key": "USER"}, "when": when},
            {"name": "admin-password", "description": "The key admin-password of a Secret.",
                "secret": {"name": name, "key": "admin-password"}, "when": when},
        ])
    );
}

#[test]
fn notes_that_are_plain_are_taken_over() {
    let notes = "{{- /* what users see */ -}}\n{{- $name := include \"web.fullname\" . -}}\nThe web server {{ $name }} of \
        {{ .Chart.Name }} listens on {{ .Values.service.port }}.\nTry: curl ${HOST} -n {{ .Release.Namespace }}\n\n";
    let (version, comments) = made(&[("NOTES.txt", notes), ("_helpers.tpl", HELPERS)]);
    assert_eq!(
        version["notes"],
        "The web server web-${self.metadata.name} of web listens on ${self.spec.service.port}.\nTry: curl $${HOST} -n \
         ${self.metadata.namespace}\n"
    );
    assert!(comments.iter().any(|line| line == "# access:"), "{comments:?}");
}

#[test]
fn what_is_not_plain_leaves_a_place() {
    let own = HELPERS.replace("contains $name .Release.Name", "eq $name .Release.Name");
    let ranged = "kind: Ingress\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  rules:\n  {{- range .Values.ingress.hosts }}\n\
        \x20 - host: {{ .host }}\n  {{- end }}\n";
    for (path, text) in [
        ("service.yaml", SERVICE),
        ("ingress.yaml", ranged),
        (
            "other.yaml",
            "{{ if eq .Values.service.type \"x\" }}\nkind: Secret\nmetadata:\n  name: a\ndata:\n  a: b\n{{ end }}",
        ),
        (
            "else.yaml",
            "{{ if .Values.auth.enabled }}\na: b\n{{ else }}\nkind: Secret\nmetadata: {name: a}\ndata: {a: b}\n{{ end }}",
        ),
        ("map.yaml", "kind: Secret\nmetadata:\n  name: {{ .Values.map }}\ndata:\n  a: b\n"),
        ("headless.yaml", "kind: Service\nmetadata:\n  name: a\nspec:\n  clusterIP: None\n  ports: [{port: 1}]\n"),
        ("broken.yaml", "kind: Service\n{{ if }}"),
    ] {
        let (version, comments) = made(&[("_helpers.tpl", &own), (path, text)]);
        assert_eq!(version.get("access"), None, "{path}");
        let wanted = format!("# Look through for further entries of access: templates/{path}");
        assert!(comments.contains(&wanted), "{path}: {comments:?}");
    }
    for notes in [
        "{{ if .Values.auth.enabled }}a{{ end }}",
        "{{ .Values.map }}",
        "{{ .Chart.Version }}",
        "{{ template \"x\" . }}",
    ] {
        let (version, comments) = made(&[("NOTES.txt", notes)]);
        assert_eq!(version.get("notes"), None, "{notes}");
        assert!(comments[0].contains("as templates/NOTES.txt is more than plain text"), "{comments:?}");
    }
}

#[test]
fn names_of_entries_differ() {
    let service = "kind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 1}, {port: 2}, {port: 3, name: \"9p\"}]}\n---\n\
        kind: Service\nmetadata: {name: b}\nspec: {ports: [{port: 1}]}\n";
    let (version, _) = made(&[("service.yaml", service)]);
    let names: Vec<&Value> = version["access"].as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
    assert_eq!(names, ["service", "service-2", "n9p", "service-3"]);
}
