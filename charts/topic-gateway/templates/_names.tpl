{{/* First part of the names of all objects; 52 characters leave room for what is appended. */}}
{{- define "topic-gateway.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of the controller's own objects. The suffix keeps them apart from the children of a TopicGateway that is
     called like the release. */}}
{{- define "topic-gateway.controller" -}}
{{ include "topic-gateway.fullname" . }}-controller
{{- end -}}

{{- define "topic-gateway.serviceAccountName" -}}
{{- default (include "topic-gateway.controller" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "topic-gateway.leaseName" -}}
{{- default (include "topic-gateway.controller" .) .Values.leaderElection.leaseName -}}
{{- end -}}

{{/* What selectors are made of: it never changes in the life of a release, since selectors cannot. */}}
{{- define "topic-gateway.selectorLabels" -}}
app.kubernetes.io/name: topic-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{/* What all objects have in common, but the component. */}}
{{- define "topic-gateway.commonLabels" -}}
app.kubernetes.io/part-of: topic-gateway
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "topic-gateway.labels" -}}
{{ include "topic-gateway.selectorLabels" . }}
{{ include "topic-gateway.commonLabels" . }}
{{- end -}}

{{/* An image from its parts: a digest wins over the tag, but both may stand there for people to read. */}}
{{- define "topic-gateway.reference" -}}
{{- if .registry }}{{ .registry }}/{{ end }}{{ .repository }}
{{- if .tag }}:{{ .tag }}{{ end }}
{{- if .digest }}@{{ .digest }}{{ end }}
{{- end -}}

{{- define "topic-gateway.image" -}}
{{- $image := .Values.image -}}
{{- include "topic-gateway.reference" (merge (dict "tag" (default .Chart.AppVersion $image.tag)) $image) -}}
{{- end -}}

{{/* What gateways run where they say nothing else. A part that is not given is the controller's; a digest belongs to
     one repository and tag and is not carried over to others. */}}
{{- define "topic-gateway.gatewayImage" -}}
{{- $own := .Values.gatewayImage -}}
{{- if or $own.registry $own.repository $own.tag $own.digest -}}
{{- $image := .Values.image -}}
{{- $parts := dict
  "registry" (default $image.registry $own.registry)
  "repository" (default $image.repository $own.repository)
  "tag" (default (default .Chart.AppVersion $image.tag) $own.tag)
  "digest" $own.digest -}}
{{- include "topic-gateway.reference" $parts -}}
{{- else -}}
{{- include "topic-gateway.image" . -}}
{{- end -}}
{{- end -}}
