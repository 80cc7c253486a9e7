{{/* list from ports: one rule; nobody named means the pods of this namespace */}}
{{- define "weir.allow" -}}
- from: {{ default (list (dict "podSelector" dict)) (index . 0) | toJson }}
  ports:
    {{- range index . 1 }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end -}}
{{- define "weir.networkPolicy" -}}
{{- $root := index . 0 -}}
{{- $policy := $root.Values.networkPolicy -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "weir.componentName" . }}
  labels:
    {{- include "weir.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "weir.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress{{ if $policy.egress.restrict }}, Egress{{ end }}]
  ingress:
    {{- if eq (index . 1) "broker" }}
    {{- include "weir.allow" (list $policy.kafkaFrom (list "kafka")) | nindent 4 }}
    # The release's own: the worker, and the pod of `helm test`.
    - from:
        - podSelector: {matchLabels: {{ include "weir.selectorLabels" (list $root "connect") | fromYaml | toJson }}}
        - podSelector: {matchLabels: {{ include "weir.selectorLabels" (list $root "test") | fromYaml | toJson }}}
      ports: [{port: kafka, protocol: TCP}]
    {{- if $root.Values.externalAccess.enabled }}
    - ports: [{port: kafka-external, protocol: TCP}]
      {{- with $policy.externalFrom }}
      from:
        {{- range . }}
        - ipBlock: {cidr: {{ . | quote }}}
        {{- end }}
      {{- end }}
    {{- end }}
    {{- end }}
    {{- if include "weir.hasWorker" . }}
    {{- include "weir.allow" (list $policy.connectFrom (list "connect")) | nindent 4 }}
    {{- end }}
    {{- if include "weir.hasSearch" . }}
    {{- include "weir.allow" (list $policy.searchFrom (list "search")) | nindent 4 }}
    {{- end }}
    {{- include "weir.allow" (list $policy.metricsFrom (list "http-metrics")) | nindent 4 }}
  {{- if $policy.egress.restrict }}
  egress:
    - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
    - to: [{podSelector: {matchLabels: {{ include "weir.selectorLabels" (list $root "broker") | fromYaml | toJson }}}}]
      ports: [{port: kafka, protocol: TCP}]
    {{- with $policy.egress.to }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end -}}
