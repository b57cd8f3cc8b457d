{{/* What the Pods of both parts have in common. Takes (dict "root" $ "part" .Values.operator "component" "operator"). */}}
{{- define "kindsmith.podSettings" -}}
serviceAccountName: kindsmith-{{ .component }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
{{ toYaml . }}
{{- end }}
{{- with .part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if not .part.hostUsers }}
hostUsers: false
{{- end }}
securityContext:
  {{- include "kindsmith.podSecurityContext" .part | nindent 2 }}
{{- with .part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.tolerations }}
tolerations:
{{ toYaml . }}
{{- end }}
{{- with .part.topologySpreadConstraints }}
topologySpreadConstraints:
{{ toYaml . }}
{{- end }}
affinity:
{{- if .part.affinity }}
  {{- toYaml .part.affinity | nindent 2 }}
{{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "kindsmith.selector" .component | nindent 12 }}
{{- end }}
{{- end }}

{{/* A map of the chart with what the values add to it. Takes (dict "own" "{…}" "given" .Values.…). */}}
{{- define "kindsmith.merged" -}}
{{ toYaml (mergeOverwrite (fromYaml .own) (deepCopy .given)) }}
{{- end }}

{{/* What the containers of both parts have in common, after their args and env. */}}
{{- define "kindsmith.containerSettings" -}}
securityContext:
  {{- include "kindsmith.merged" (dict "own" "{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}" "given" .part.securityContext) | nindent 2 }}
{{- with .part.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Labels and annotations of a Pod. */}}
{{- define "kindsmith.podMetadata" -}}
labels:
  {{- include "kindsmith.selector" .component | nindent 2 }}
  {{- with mergeOverwrite (deepCopy .root.Values.commonLabels) .part.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .part.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Environment variables that the values add to those of the chart, and the level of logs. */}}
{{- define "kindsmith.extraEnv" -}}
{{- if ne .part.logLevel "info" }}
- name: RUST_LOG
  value: {{ .part.logLevel }}
{{- end }}
{{- with .part.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Args that tell which certificates are used. Takes (dict "root" $ "component" "operator"). */}}
{{- define "kindsmith.certificateArgs" -}}
{{- $certificates := .root.Values.certificates }}
{{- if eq $certificates.mode "files" }}
{{- $folder := include "kindsmith.certificatesFolder" .root }}
{{- if eq .component "operator" }}
- --certificates=files
- --ca-bundle-file={{ $folder }}/ca.crt
{{- else }}
- --tls-cert-file={{ $folder }}/tls.crt
- --tls-private-key-file={{ $folder }}/tls.key
{{- end }}
{{- else }}
{{- if ne $certificates.secret "kindsmith-serving-cert" }}
- --serving-cert-secret={{ $certificates.secret }}
{{- end }}
{{- if eq .component "operator" }}
{{- if eq $certificates.mode "operator" }}
{{- if ne $certificates.lifetime "2160h" }}
- --certificate-lifetime={{ $certificates.lifetime }}
{{- end }}
{{- if ne $certificates.caLifetime "8760h" }}
- --ca-lifetime={{ $certificates.caLifetime }}
{{- end }}
{{- else }}
- --certificates=secret
{{- end }}
{{- end }}
{{- end }}
{{- end }}
