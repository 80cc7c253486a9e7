{{/* Names and labels. Each takes the root context, those of a component (list . "broker"). */}}

{{- define "weir.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for the longest suffix, `-connect-headless`, and the pod's number. */}}
{{- define "weir.fullname" -}}
{{- $name := include "weir.name" . -}}
{{- $full := default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) .Values.fullnameOverride -}}
{{- $full | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The broker is the release's own name: pods are weir-0, weir-connect-0. */}}
{{- define "weir.componentName" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- include "weir.fullname" $root -}}{{- if ne $component "broker" -}}-{{ $component }}{{- end -}}
{{- end -}}

{{- define "weir.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "weir.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "weir.labels" -}}
{{- $root := index . 0 -}}
{{ include "weir.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "weir.image" -}}
{{- with .Values.image -}}
{{- .repository -}}{{- if .digest -}}@{{ .digest }}{{- else -}}:{{ default $.Chart.AppVersion .tag }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "weir.serviceAccountName" -}}
{{- default (ternary (include "weir.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{/* The pod that the worker runs in, and the search node with it. */}}
{{- define "weir.workerComponent" -}}
{{- ternary "connect" "broker" .Values.connect.separate -}}
{{- end -}}

{{- define "weir.workerIsSeparate" -}}
{{- if and .Values.connect.enabled .Values.connect.separate -}}true{{- end -}}
{{- end -}}

{{/* The one name of the one broker. */}}
{{- define "weir.brokerHost" -}}
{{- $full := include "weir.fullname" . -}}
{{- printf "%s-0.%s-headless.%s.svc.%s" $full $full .Release.Namespace .Values.clusterDomain -}}
{{- end -}}

{{- define "weir.bootstrapServers" -}}
{{- printf "%s.%s.svc.%s:%d" (include "weir.fullname" .) .Release.Namespace .Values.clusterDomain (int .Values.broker.service.port) -}}
{{- end -}}
