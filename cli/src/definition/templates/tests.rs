use super::*;

/// The shapes in which charts print objects that they are given.
const WHOLE: [(&str, &str); 23] = [
    ("range", "{{- range .Values.x }}\n---\n{{ toYaml . }}\n{{- end }}\n"),
    ("tpl", "{{ range .Values.x }}\n---\n{{ tpl (toYaml .) $ }}\n{{ end }}\n"),
    (
        "texts",
        "{{- range .Values.x }}\n---\n{{- if typeIs \"string\" . }}\n{{ tpl . $ }}\n{{- else }}\n\
         {{ tpl (. | toYaml) $ }}\n{{- end }}\n{{- end }}\n",
    ),
    ("map", "{{- range $name, $manifest := .Values.x }}\n---\n{{ $manifest | toYaml | nindent 0 }}\n{{- end }}"),
    ("with", "{{- with .Values.x }}\n{{- toYaml . | nindent 0 }}\n{{- end }}"),
    ("text", "{{ tpl .Values.x . }}"),
    (
        "variable",
        "{{- $all := .Values.x | default list -}}\n{{- range $all }}\n--- # another\n{{ . | toYaml }}\n{{ end }}",
    ),
    (
        "assigned",
        "{{ $all := list }}{{ if .Values.x }}{{ $all = concat $all .Values.x }}{{ end }}{{ range $all }}\n---\n{{ toYaml . }}{{ end }}",
    ),
    ("index", "{{ range index .Values \"x\" }}\n---\n{{ toYaml . }}{{ end }}"),
    ("get", "{{ range (get .Values \"x\") }}\n---\n{{ toYaml . }}{{ end }}"),
    ("dollar", "{{ with .Values.other }}{{ range $.Values.x }}\n---\n{{ toYaml . }}{{ end }}{{ end }}"),
    (
        "bitnami",
        "{{- range .Values.x }}\n---\n{{ include \"common.tplvalues.render\" (dict \"value\" . \"context\" $) }}\n{{- end }}\n",
    ),
    ("whole list", "{{ include \"common.tplvalues.render\" ( dict \"value\" .Values.x \"context\" $ ) }}"),
    ("list", "apiVersion: v1\nkind: List\nitems:\n{{ include \"mine\" (dict \"value\" .Values.x) | nindent 2 }}\n"),
    (
        "items",
        "apiVersion: v1\nkind: List\nitems:\n{{- range .Values.x }}\n  - {{ toYaml . | nindent 4 }}\n{{- end }}\n",
    ),
    (
        "named",
        "{{ template \"all\" . }}\n{{ define \"all\" }}{{ range .Values.x }}\n---\n{{ toYaml . }}{{ end }}{{ end }}",
    ),
    (
        "included",
        "{{ include \"all\" (dict \"root\" . \"of\" .Values) }}{{ define \"all\" }}{{ range .of.x }}\n---\n{{ toYaml . }}{{ end }}{{ end }}",
    ),
    ("after", "{{ if .Values.a }}\napiVersion: v1\nkind: A\n{{ end }}\n---\n# More\n{{ toYaml .Values.x }}"),
    (
        "fields",
        "{{- range .Values.x }}\n---\napiVersion: {{ .apiVersion | default \"v1\" }}\nkind: \"{{ .kind }}\"\nspec:\n  {{- toYaml .spec | nindent 2 }}\n{{- end }}",
    ),
    (
        "merged",
        "{{ range .Values.x }}\n---\n{{ merge (tpl (toYaml .) $ | fromYaml) $.Values.labels | toYaml }}{{ end }}",
    ),
    ("printed", "{{ range .Values.x }}{{ printf \"---\\n%s\\n\" (toYaml .) }}{{ end }}"),
    ("else", "{{ if .Values.a }}\na: 1\n{{ else if .Values.b }}\nb: 1\n{{ else }}\n{{ toYaml .Values.x }}\n{{ end }}"),
    ("two charts", "{{ range tuple .Values.x .Values.labels }}{{ range . }}\n---\n{{ toYaml . }}{{ end }}{{ end }}"),
];

/// What is printed within objects, or nowhere.
const WITHIN: [&str; 9] = [
    "apiVersion: v1\nkind: ConfigMap\ndata:\n  {{- toYaml .Values.x | nindent 2 }}\n",
    "apiVersion: v1\nkind: ConfigMap\n{{- with .Values.x }}\nmetadata: {{ toYaml . | nindent 2 }}\n{{- end }}\n",
    "kind: Pod\nspec:\n  containers:\n  {{- range .Values.x }}\n  - {{ toYaml . | nindent 4 }}\n  {{- end }}\n",
    "kind: Pod\nmetadata:\n  labels: {{ include \"labels\" . | nindent 4 }}\n{{ define \"labels\" }}{{ toYaml .Values.x }}{{ end }}",
    "kind: Pod\nresources: {{ include \"common.tplvalues.render\" (dict \"value\" .Values.x \"context\" $) | nindent 2 }}\n",
    "# {{ toYaml .Values.x }}\na: {{ .Values.x }}",
    "{{ if .Values.x }}\n---\na: {{ len .Values.x }}\n{{ end }}",
    "{{ range .Values.x }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .name }}}\ndata: {{ toYaml .data }}\n{{ end }}",
    "{{ range .Values.x }}\n---\napiVersion: v1\nkind: {{ .kind }}\nmetadata: {name: {{ .name }}}\n{{ end }}",
];

fn chart(template: &str) -> Chart {
    let helpers = "{{- define \"mine\" -}}\n{{- if typeIs \"string\" .value }}\n{{- tpl .value .context }}\n{{- else }}\n\
         {{- tpl (.value | toYaml) .context }}\n{{- end }}\n{{- end -}}";
    let files = [("templates/_helpers.tpl", helpers), ("templates/extra.yaml", template)];
    Chart {
        name: "web".to_owned(),
        templates: files.map(|(path, text)| (path.to_owned(), text.to_owned())).to_vec(),
        ..Chart::default()
    }
}

fn shown(paths: &BTreeSet<ValuePath>) -> Vec<String> {
    paths.iter().map(|path| path.join(".")).collect()
}

#[test]
fn values_that_become_documents_are_found() {
    for (shape, template) in WHOLE {
        let found = shown(&printed(&chart(template)).whole);
        assert!(found.contains(&"x".to_owned()), "{shape}: {found:?}");
    }
}

#[test]
fn values_within_documents_are_no_documents() {
    for template in WITHIN {
        let printed = printed(&chart(template));
        assert_eq!(shown(&printed.whole), [""; 0], "{template}");
    }
}

#[test]
fn a_chart_as_helm_makes_it_prints_no_value_as_a_document() {
    let template = "{{- if .Values.ingress.enabled -}}\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n\
         \x20 name: {{ include \"web.fullname\" . }}\n  labels:\n    {{- include \"web.labels\" . | nindent 4 }}\n\
         \x20 {{- with .Values.ingress.annotations }}\n  annotations:\n    {{- toYaml . | nindent 4 }}\n  {{- end }}\nspec:\n\
         \x20 {{- with .Values.ingress.className }}\n  ingressClassName: {{ . }}\n  {{- end }}\n  rules:\n\
         \x20   {{- range .Values.ingress.hosts }}\n    - host: {{ .host | quote }}\n    {{- end }}\n{{- end }}\n";
    let printed = printed(&chart(template));
    assert_eq!(shown(&printed.whole), [""; 0]);
    let within = ["ingress.annotations", "ingress.className", "ingress.hosts.*.host"];
    assert_eq!(shown(&printed.within), within);
}

#[test]
fn subcharts_print_their_own_values_and_those_that_are_given_to_each() {
    let mut parent = chart("{{ range .Values.parts }}{{ include \"sub\" (dict \"Values\" .) }}{{ end }}");
    let mut sub = chart("{{ define \"sub\" }}{{ toYaml .Values.extra.objects }}{{ end }}{{ template \"sub\" . }}");
    sub.name = "redis".to_owned();
    parent.subcharts.push(sub);
    assert_eq!(shown(&printed(&parent).whole), ["parts.*.extra.objects", "redis.extra.objects"]);
}

#[test]
fn templates_that_include_each_other_come_to_an_end() {
    let template = "{{ define \"a\" }}{{ $x := dict \"a\" . \"b\" . }}{{ include \"b\" $x }}{{ include \"b\" $x }}{{ end }}\
        {{ define \"b\" }}{{ include \"a\" (list . . .) }}{{ template \"a\" . }}{{ end }}{{ include \"a\" .Values }}{{ toYaml .Values.x }}";
    let begun = std::time::Instant::now();
    drop(printed(&chart(template)));
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}
