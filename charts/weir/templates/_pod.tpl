{{/* What the pods of both StatefulSets have in common. Each takes list root component. */}}

{{/* Whether the worker runs in this component's pod. */}}
{{- define "weir.hasWorker" -}}
{{- $root := index . 0 -}}
{{- if and $root.Values.connect.enabled (eq (index . 1) (include "weir.workerComponent" $root)) -}}true{{- end -}}
{{- end -}}

{{- define "weir.hasSearch" -}}
{{- if and (include "weir.hasWorker" .) (index . 0).Values.search.enabled -}}true{{- end -}}
{{- end -}}

{{- define "weir.args" -}}
{{- $root := index . 0 -}}
{{- $config := list "-c" "/etc/weir/weir.yaml" -}}
{{- if eq (index . 1) "connect" -}}
{{- $search := ternary (list "--search") list $root.Values.search.enabled -}}
{{- concat (list "connect" "run") $search $config | toJson -}}
{{- else -}}
{{- prepend $config (ternary "up" "broker" (eq (include "weir.hasWorker" .) "true")) | toJson -}}
{{- end -}}
{{- end -}}

{{- define "weir.env" -}}
{{- $root := index . 0 -}}
{{- if eq (index . 1) "broker" }}
{{- with $root.Values.broker.rack.fromTopologyLabel }}
- name: WEIR_BROKER_RACK
  valueFrom: {fieldRef: {fieldPath: "metadata.labels['{{ . }}']"}}
{{- end }}
{{- if include "weir.advertisesNode" $root }}
- name: HOST_IP
  valueFrom: {fieldRef: {fieldPath: status.hostIP}}
- name: WEIR_BROKER_ADVERTISED_LISTENERS
  value: {{ include "weir.advertisedListeners" $root | quote }}
{{- end }}
{{- with $root.Values.broker.env }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- if include "weir.hasWorker" . }}
{{- with $root.Values.connect.env }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "weir.envFrom" -}}
{{- $root := index . 0 -}}
{{- $sources := ternary $root.Values.broker.envFrom list (eq (index . 1) "broker") -}}
{{- if include "weir.hasWorker" . -}}
{{- $sources = concat $sources $root.Values.connect.envFrom -}}
{{- end -}}
{{- with $sources -}}{{- toYaml . -}}{{- end -}}
{{- end -}}

{{- define "weir.ports" -}}
{{- if eq (index . 1) "broker" }}
- {name: kafka, containerPort: 9092}
{{- if (index . 0).Values.externalAccess.enabled }}
- {name: kafka-external, containerPort: 9094}
{{- end }}
{{- end }}
{{- if include "weir.hasWorker" . }}
- {name: connect, containerPort: 8083}
{{- end }}
{{- if include "weir.hasSearch" . }}
- {name: search, containerPort: 9200}
{{- end }}
- {name: http-metrics, containerPort: 9464}
{{- end -}}

{{- define "weir.podAffinity" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
{{- $affinity := deepCopy $values.affinity -}}
{{- if and (ne $values.antiAffinity.type "none") (not (hasKey $affinity "podAntiAffinity")) -}}
{{- $labels := dict "app.kubernetes.io/name" (include "weir.name" $root) "app.kubernetes.io/component" (index . 1) -}}
{{- $term := dict "labelSelector" (dict "matchLabels" $labels) "topologyKey" $values.antiAffinity.topologyKey -}}
{{- if eq $values.antiAffinity.type "required" -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term)) -}}
{{- else -}}
{{- $preferred := dict "weight" 100 "podAffinityTerm" $term -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list $preferred)) -}}
{{- end -}}
{{- end -}}
{{- with $affinity -}}{{- toYaml . -}}{{- end -}}
{{- end -}}

{{/* What the restricted Pod Security Standard asks of a pod and of a container. */}}
{{- define "weir.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "weir.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "weir.container" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
- name: weir
  image: {{ include "weir.image" $root }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  command: [weir]
  args: {{ include "weir.args" . }}
  {{- with include "weir.env" . | trim }}
  env:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with include "weir.envFrom" . }}
  envFrom:
    {{- . | nindent 4 }}
  {{- end }}
  ports:
    {{- include "weir.ports" . | trim | nindent 4 }}
  startupProbe:
    httpGet: {path: /health/live, port: http-metrics}
    {{- toYaml $values.probes.startup | nindent 4 }}
  livenessProbe:
    httpGet: {path: /health/live, port: http-metrics}
    {{- toYaml $values.probes.liveness | nindent 4 }}
  readinessProbe:
    httpGet: {path: /health/ready, port: http-metrics}
    {{- toYaml $values.probes.readiness | nindent 4 }}
  {{- if $values.drainSeconds }}
  lifecycle:
    preStop:
      sleep: {seconds: {{ $values.drainSeconds }}}
  {{- end }}
  resources:
    {{- toYaml $values.resources | nindent 4 }}
  securityContext:
    {{- include "weir.containerSecurityContext" . | nindent 4 }}
  volumeMounts:
    - {name: config, mountPath: /etc/weir/weir.yaml, subPath: weir.yaml, readOnly: true}
    - {name: data, mountPath: /var/lib/weir}
    {{- if include "weir.hasWorker" . }}
    {{- range $root.Values.connect.secretMounts }}
    - {name: {{ printf "secret-%s" . | quote }}, mountPath: {{ printf "/etc/weir/secrets/%s" . | quote }}, readOnly: true}
    {{- end }}
    {{- end }}
    {{- with $values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "weir.volumes" -}}
{{- $root := index . 0 -}}
- name: config
  configMap: {name: {{ include "weir.componentName" . }}}
{{- if include "weir.hasWorker" . }}
{{- range $root.Values.connect.secretMounts }}
- name: {{ printf "secret-%s" . | quote }}
  secret: {secretName: {{ . | quote }}}
{{- end }}
{{- end }}
{{- if not (include "weir.claims" .) }}
- name: data
  emptyDir: {}
{{- end }}
{{- with (index $root.Values (index . 1)).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* By persistence alone: a StatefulSet's claims can never change, and a search node may come and go. */}}
{{- define "weir.claims" -}}
{{- if (index (index . 0).Values (index . 1)).persistence.enabled -}}true{{- end -}}
{{- end -}}

{{- define "weir.podTemplate" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
metadata:
  labels:
    # Without the chart's version: a new chart alone is no reason for a new pod.
    {{- include "weir.selectorLabels" . | nindent 4 }}
    {{- with $root.Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A changed configuration is a new pod.
    checksum/config: {{ include "weir.config" . | sha256sum }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "weir.serviceAccountName" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . | quote }}
    {{- end }}
  {{- end }}
  securityContext:
    {{- include "weir.podSecurityContext" . | nindent 4 }}
  containers:
    {{- include "weir.container" . | nindent 4 }}
  volumes:
    {{- include "weir.volumes" . | nindent 4 }}
  {{- with include "weir.podAffinity" . }}
  affinity:
    {{- . | nindent 4 }}
  {{- end }}
  {{- range $key := list "nodeSelector" "tolerations" "topologySpreadConstraints" }}
  {{- with index $values $key }}
  {{ $key }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
{{- end -}}
