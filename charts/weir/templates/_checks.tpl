{{/* Of a duration as Prometheus writes it: 1m30s. */}}
{{- define "weir.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 -}}
{{- $sum = add $sum (mul (regexFind "[0-9]+" . | int64) (index $units (regexFind "[a-z]+" .))) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{/* What values can be wrong together, or needs more words than the schema has. */}}
{{- define "weir.refuseValues" -}}
{{- if and .Values.search.enabled (not .Values.connect.enabled) -}}
{{- fail "search.enabled needs connect.enabled: nothing but the sinks of a worker beside it writes to the search node. Set search.enabled=false, too" -}}
{{- end -}}
{{- if and .Values.connect.connectors (not .Values.connect.enabled) -}}
{{- fail "connect.connectors: there is no worker to run them, connect.enabled is false" -}}
{{- end -}}
{{- if and .Values.broker.rack.name .Values.broker.rack.fromTopologyLabel -}}
{{- fail "broker.rack: name and fromTopologyLabel are both set: say one of them" -}}
{{- end -}}
{{- if and .Values.broker.rack.fromTopologyLabel (semverCompare "<1.35-0" .Capabilities.KubeVersion.Version) -}}
{{- fail (printf "broker.rack.fromTopologyLabel: Kubernetes %s does not copy a node's labels to its pods, 1.35 does: say broker.rack.name" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- with .Values.serviceMonitor -}}
{{- if and .enabled (gt (include "weir.milliseconds" .scrapeTimeout | int64) (include "weir.milliseconds" .interval | int64)) -}}
{{- fail (printf "serviceMonitor.scrapeTimeout: %s is more than the interval, %s: Prometheus would take neither" .scrapeTimeout .interval) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) -}}
{{- fail "networkPolicy.metricsFrom: say where Prometheus is, which serviceMonitor has scrape: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}], or [{podSelector: {}}] for this namespace" -}}
{{- end -}}
{{- range $component := list "broker" "connect" -}}
{{- with index $.Values $component -}}
{{- if ge (int .drainSeconds) (int .terminationGracePeriodSeconds) -}}
{{- fail (printf "%s.drainSeconds: %v of %v seconds of terminationGracePeriodSeconds leave no time to stop in" $component .drainSeconds .terminationGracePeriodSeconds) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
