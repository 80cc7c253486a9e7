{{/* weir.yaml of each component. */}}

{{/* Fails when a section of the values has a key that is the chart's own: list section map keys advice */}}
{{- define "weir.refuseOwnKeys" -}}
{{- $section := index . 0 -}}
{{- $map := index . 1 -}}
{{- $advice := index . 3 -}}
{{- range $key := index . 2 -}}
{{- if hasKey $map $key -}}
{{- fail (printf "%s.%s: the chart sets this itself; %s" $section $key $advice) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Bytes of a Kubernetes quantity, 0 where there is none. */}}
{{- define "weir.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $text := . | toString -}}
{{- $unit := regexReplaceAll "^[0-9.]+" $text "" -}}
{{- if not (hasKey $units $unit) -}}{{- fail (printf "resources.limits.memory: %s: write it with one of the units Ki, Mi, Gi, Ti, k, M, G, T" $text) -}}{{- end -}}
{{- mulf (trimSuffix $unit $text | float64) (index $units $unit) | floor | int64 -}}
{{- end -}}

{{/* A container's share of memory, where nobody said: the node's would be counted otherwise. */}}
{{- define "weir.requestBytes" -}}
{{- with .Values.broker.resources.limits -}}
{{- with .memory -}}
{{- div (include "weir.bytes" . | int64) 4 -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "weir.advertisedListeners" -}}
{{- $external := .Values.externalAccess -}}
PLAINTEXT://{{ include "weir.brokerHost" . }}:9092
{{- if $external.enabled -}}
,EXTERNAL://{{ include "weir.externalAddress" (dict "external" $external "node" "$(HOST_IP)") }}
{{- end -}}
{{- end -}}

{{/* Where clients outside connect, an address of IPv6 in brackets; node: what is said of the node where no host is named. */}}
{{- define "weir.externalAddress" -}}
{{- $host := default .node .external.host -}}
{{- $isAddress6 := ternary (contains ":" $host) (eq .external.ipFamily "IPv6") (ne .external.host "") -}}
{{- ternary (printf "[%s]" $host) $host $isAddress6 }}:{{ ternary .external.nodePort .external.port (eq .external.type "NodePort") | int }}
{{- end -}}

{{/* A NodePort without a host is advertised under the node's address, which only the pod knows. */}}
{{- define "weir.advertisesNode" -}}
{{- with .Values.externalAccess -}}
{{- if and .enabled (not .host) -}}
{{- if ne .type "NodePort" -}}
{{- fail "externalAccess.host: say the name or address of the load balancer: clients are told to connect to it" -}}
{{- end -}}
true
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "weir.brokerSection" -}}
{{- $config := .Values.broker.config -}}
{{- include "weir.refuseOwnKeys" (list "broker.config" $config (list "listeners" "advertised.listeners" "listener.security.protocol.map") "see externalAccess for clients outside of the cluster") -}}
{{- include "weir.refuseOwnKeys" (list "broker.config" $config (list "http.listeners" "log.dir" "log.dirs") "probes and volumes depend on it") -}}
{{- include "weir.refuseOwnKeys" (list "broker.config" $config (list "broker.rack") "see broker.rack") -}}
{{- $own := dict "listeners" (ternary "PLAINTEXT://:9092,EXTERNAL://:9094" "PLAINTEXT://:9092" .Values.externalAccess.enabled) -}}
{{- if .Values.externalAccess.enabled -}}
{{- $_ := set $own "listener.security.protocol.map" "PLAINTEXT:PLAINTEXT,EXTERNAL:PLAINTEXT" -}}
{{- end -}}
{{- if not (include "weir.advertisesNode" .) -}}
{{- $_ := set $own "advertised.listeners" (include "weir.advertisedListeners" .) -}}
{{- end -}}
{{- with .Values.broker.rack.name -}}{{- $_ := set $own "broker.rack" . -}}{{- end -}}
{{- with include "weir.requestBytes" . -}}{{- $_ := set $own "queued.max.request.bytes" . -}}{{- end -}}
{{- toYaml (mergeOverwrite $own (deepCopy $config)) -}}
{{- end -}}

{{- define "weir.connectSection" -}}
{{- $config := .Values.connect.config -}}
{{- include "weir.refuseOwnKeys" (list "connect.config" $config (list "listeners") "services depend on it") -}}
{{- $own := dict "listeners" "http://:8083" -}}
{{- if .Values.connect.separate -}}
{{- $_ := set $own "bootstrap.servers" (include "weir.bootstrapServers" .) -}}
{{- else -}}
{{- include "weir.refuseOwnKeys" (list "connect.config" $config (list "bootstrap.servers") "a worker of another cluster needs connect.separate") -}}
{{- end -}}
{{- toYaml (mergeOverwrite $own (deepCopy $config)) -}}
{{- end -}}

{{- define "weir.searchSection" -}}
{{- include "weir.refuseOwnKeys" (list "search.config" .Values.search.config (list "listeners" "data.dir") "services and volumes depend on it") -}}
{{- $own := dict "listeners" (ternary "http://:9200" "" .Values.search.enabled) -}}
{{- toYaml (mergeOverwrite $own (deepCopy .Values.search.config)) -}}
{{- end -}}

{{/* Of the pod with the worker. */}}
{{- define "weir.workerConfig" -}}
connect:
  {{- include "weir.connectSection" . | nindent 2 }}
search:
  {{- include "weir.searchSection" . | nindent 2 }}
{{- with .Values.connect.defaults }}
defaults:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.connect.connectors }}
connectors:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* list root component */}}
{{- define "weir.config" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
data: /var/lib/weir
log:
  {{- toYaml $root.Values.log | nindent 2 }}
http:
  listeners: ":9464"
{{- if eq $component "broker" }}
broker:
  {{- include "weir.brokerSection" $root | nindent 2 }}
{{- end }}
{{- if and $root.Values.connect.enabled (eq $component (include "weir.workerComponent" $root)) }}
{{ include "weir.workerConfig" $root }}
{{- end }}
{{- end -}}
