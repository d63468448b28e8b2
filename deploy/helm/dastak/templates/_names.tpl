{{- define "dastak.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "dastak.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "dastak.environment" -}}
- name: DASTAK__SERVER__PUBLIC_URL
  value: {{ .Values.publicUrl | quote }}
- name: DASTAK__LOGIN__TRUSTED_PROXIES
  value: {{ .Values.trustedProxies | quote }}
- name: DASTAK__SECRETS__FILE
  value: /run/secrets/dastak/secrets.json
{{- if .Values.database.existingSecret }}
- name: DASTAK_DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.database.existingSecret | quote }}, key: url}
{{- else }}
- name: DASTAK__STORE__URL
  value: sqlite:///var/lib/dastak/dastak.db
{{- end }}
{{- end }}

{{- define "dastak.mounts" -}}
- {name: settings, mountPath: /etc/dastak, readOnly: true}
- {name: keys, mountPath: /run/secrets/dastak, readOnly: true}
- {name: data, mountPath: /var/lib/dastak}
- {name: scratch, mountPath: /tmp}
{{- end }}

{{- define "dastak.shut" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
