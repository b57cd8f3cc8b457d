{{/* Annotations of an object that is there while a hook runs. Takes (dict "hook" "pre-delete" "weight" "0"). */}}
{{- define "kindsmith.hook" -}}
helm.sh/hook: {{ .hook }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* Where a Pod that runs once is placed, and as whom: as the operator's. */}}
{{- define "kindsmith.placedOnce" -}}
restartPolicy: Never
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{ toYaml . }}
{{- end }}
{{- with .Values.operator.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.operator.tolerations }}
tolerations:
{{ toYaml . }}
{{- end }}
securityContext:
  {{- include "kindsmith.podSecurityContext" .Values.operator | nindent 2 }}
{{- end }}

{{/* The securityContext of a Pod of a part. */}}
{{- define "kindsmith.podSecurityContext" -}}
{{ include "kindsmith.merged" (dict "own" "{runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, seccompProfile: {type: RuntimeDefault}}" "given" .podSecurityContext) }}
{{- end }}
