{{/* For Prometheus and Grafana. */}}

{{/* What rules and dashboards call this release: no two in one Kubernetes cluster are the same. */}}
{{- define "weir.cluster" -}}
{{- default (printf "%s/%s" .Release.Namespace (include "weir.fullname" .)) .Values.serviceMonitor.cluster -}}
{{- end -}}

{{/* Files of dashboards/, whose links lead to docsUrl where it is set: list root path */}}
{{- define "weir.rules" -}}
{{- $root := index . 0 -}}
{{- $text := $root.Files.Get (index . 1) -}}
{{- with $root.Values.docsUrl -}}
{{- $text = regexReplaceAllLiteral `\{\{[^{}]*\$externalLabels\.weir_docs[^{}]*\}\}` $text . -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{- define "weir.dashboard" -}}
{{- $root := index . 0 -}}
{{- $text := $root.Files.Get (index . 1) -}}
{{- with $root.Values.docsUrl -}}
{{- $text = replace `"http://localhost:9464/docs"` (quote .) $text -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* What is scraped of a pod: list root path job */}}
{{- define "weir.endpoint" -}}
{{- $root := index . 0 -}}
{{- $monitor := $root.Values.serviceMonitor -}}
- port: http-metrics
  path: {{ index . 1 }}
  interval: {{ $monitor.interval }}
  scrapeTimeout: {{ $monitor.scrapeTimeout }}
  relabelings:
    - {targetLabel: job, replacement: {{ index . 2 }}}
    - {targetLabel: cluster, replacement: {{ include "weir.cluster" $root | quote }}}
    {{- with $monitor.relabelings }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $monitor.metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
