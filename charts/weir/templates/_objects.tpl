{{/* Whole objects that both components have. Each takes list root component. */}}

{{- define "weir.statefulSet" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ include "weir.componentName" . }}
  labels:
    {{- include "weir.labels" . | nindent 4 }}
spec:
  # Of a worker as of a broker there is never more than one: workers do not share connectors.
  replicas: 1
  serviceName: {{ include "weir.componentName" . }}-headless
  podManagementPolicy: Parallel
  selector:
    matchLabels:
      {{- include "weir.selectorLabels" . | nindent 6 }}
  template:
    {{- include "weir.podTemplate" . | nindent 4 }}
  {{- if include "weir.claims" . }}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: {{ $values.persistence.whenDeleted }}, whenScaled: Retain}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels:
          {{- include "weir.selectorLabels" . | nindent 10 }}
        {{- with $values.persistence.annotations }}
        annotations:
          {{- toYaml . | nindent 10 }}
        {{- end }}
      spec:
        accessModes: {{ toJson $values.persistence.accessModes }}
        {{- with $values.persistence.storageClass }}
        storageClassName: {{ . | quote }}
        {{- end }}
        resources: {requests: {storage: {{ $values.persistence.size }}}}
  {{- end }}
{{- end -}}

{{- define "weir.configMap" -}}
{{- $root := index . 0 -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "weir.componentName" . }}
  labels:
    {{- include "weir.labels" . | nindent 4 }}
data:
  weir.yaml: |
    {{- include "weir.config" . | nindent 4 }}
{{- end -}}

{{/* Gives the pod its name, also before it is ready: its own worker asks for it. Prometheus finds the pod here, too. */}}
{{- define "weir.headlessService" -}}
{{- $root := index . 0 -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "weir.componentName" . }}-headless
  labels:
    {{- include "weir.labels" . | nindent 4 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "weir.selectorLabels" . | nindent 4 }}
  ports:
    {{- if eq (index . 1) "broker" }}
    - {name: kafka, port: 9092, targetPort: kafka}
    {{- end }}
    - {name: http-metrics, port: 9464, targetPort: http-metrics}
{{- end -}}

{{- define "weir.podDisruptionBudget" -}}
{{- $root := index . 0 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "weir.componentName" . }}
  labels:
    {{- include "weir.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ $root.Values.podDisruptionBudget.maxUnavailable }}
  # A pod that is not ready serves nobody, and may be what the drain is to mend.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "weir.selectorLabels" . | nindent 6 }}
{{- end -}}

{{/* list root component suffix port annotations: a service under which clients find one port of a pod. */}}
{{- define "weir.clientService" -}}
{{- $root := index . 0 -}}
{{- $name := index . 2 -}}
{{- $settings := index . 3 -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "weir.fullname" $root }}{{ if ne $name "kafka" }}-{{ $name }}{{ end }}
  labels:
    {{- include "weir.labels" . | nindent 4 }}
  {{- with $settings.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  selector:
    {{- include "weir.selectorLabels" . | nindent 4 }}
  ports:
    - {name: {{ $name }}, port: {{ $settings.port }}, targetPort: {{ $name }}}
{{- end -}}
