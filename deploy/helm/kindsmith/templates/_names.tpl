{{/* Labels of an object. Takes (dict "root" $ "component" "operator"); the component may be left out. */}}
{{- define "kindsmith.labels" -}}
app.kubernetes.io/name: kindsmith
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels by which Pods of a part are selected. A Deployment's selector cannot be changed: these never change. */}}
{{- define "kindsmith.selector" -}}
app.kubernetes.io/name: kindsmith
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* The reference of the image. It has no default: a name that nobody has chosen could be somebody else's. */}}
{{- define "kindsmith.image" -}}
{{- if not .Values.image.repository }}
{{- fail (printf "\n\nimage.repository is required: there is no public image of Kindsmith yet. Make one with `cargo run -p release -- image`, then either push it and install with `--set image.repository=REGISTRY/kindsmith`, or load it onto each node with `ctr --namespace k8s.io images import target/image/kindsmith.oci.tar` and install with `--set image.repository=localhost/kindsmith`.\n") }}
{{- end }}
{{- $registry := trimSuffix "/" .Values.global.imageRegistry -}}
{{- if $registry }}{{ $registry }}/{{ end }}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* How long the API server takes to end, in seconds, and 10 s more. */}}
{{- define "kindsmith.gracePeriod" -}}
{{- with .Values.apiserver.shutdown -}}
{{ add (int .delaySeconds) (int .watchesSeconds) (int .drainSeconds) 10 }}
{{- end }}
{{- end }}

{{/* The name of the Secret with the serving certificate. */}}
{{- define "kindsmith.servingSecret" -}}
{{ .Values.certificates.secret }}
{{- end }}

{{/* Where certificates of files are in the containers. */}}
{{- define "kindsmith.certificatesFolder" -}}
/var/run/secrets/kindsmith.dev/serving
{{- end }}

{{/* A binding's roleRef and subject. Takes (dict "root" $ "kind" "ClusterRole" "role" "…" "account" "…"). */}}
{{- define "kindsmith.bound" -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .role }}
subjects:
- kind: ServiceAccount
  name: {{ .account }}
  namespace: {{ .root.Release.Namespace }}
{{- end }}
