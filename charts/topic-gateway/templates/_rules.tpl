{{/* What the controller may do where it serves TopicGateways. Each rule has its reason; a test takes each one away and
     sees something break. */}}
{{- define "topic-gateway.rules" -}}
# The resources the controller is for: listed and watched, and read afresh before something is done about one.
- apiGroups: [topicgateway.io]
  resources: [topicgateways]
  verbs: [get, list, watch]
# Conditions and counts are written to the status, and nothing but the status is written.
- apiGroups: [topicgateway.io]
  resources: [topicgateways/status]
  verbs: [patch]
# Children name their TopicGateway as the owner whose deletion waits for theirs (blockOwnerDeletion). Clusters with the
# admission plugin OwnerReferencesPermissionEnforcement admit that only to who may update the owner's finalizers.
- apiGroups: [topicgateway.io]
  resources: [topicgateways/finalizers]
  verbs: [update]
# Children of the core group: the identity of gateways, their configuration, their addresses. Deleted when the
# TopicGateway no longer wants them; watched so that drift is corrected.
- apiGroups: [""]
  resources: [serviceaccounts, configmaps, services]
  verbs: [get, list, watch, create, patch, delete]
# The session key and the copy of exactly the keys that a TopicGateway refers to are children too; the Secrets referred
# to are read, and watched (as metadata) so that a rotation reaches the gateways.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# Pods of gateways: their addresses to ask for their counts, and two annotations: the configuration they should load by
# now, and which of them is cheapest to remove.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
# The gateways themselves.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
# Nodes are drained without taking all gateways at once.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# spec.autoscaling becomes an autoscaler on the TopicGateway's /scale.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
# spec.networkPolicy and spec.ingress.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies, ingresses]
  verbs: [get, list, watch, create, patch, delete]
# spec.route, where the Gateway API is installed.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
# spec.monitoring, where the Prometheus operator's API is installed.
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors, prometheusrules]
  verbs: [get, list, watch, create, patch, delete]
# What happened to a TopicGateway is told as Events; one that happens again is patched to count.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
