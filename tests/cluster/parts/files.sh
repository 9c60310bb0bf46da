# Sourced by up and node: the configuration files of the cluster's processes.
# shellcheck shell=bash disable=SC2034,SC2154 # names that settings.sh and the sourcing script share

control_files() {
    cat >"$config/scheduler.yaml" <<YAML
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
clientConnection: {kubeconfig: "$config/scheduler.kubeconfig"}
YAML
    # A name outside the cluster does not exist: without the last plugin the answer were a failure, and be asked again.
    cat >"$config/Corefile" <<COREFILE
.:53 {
  bind $(control_address)
  errors
  health 127.0.0.1:8089
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $config/coredns.kubeconfig test
    pods insecure
    ttl 2
  }
  cache 2
  template ANY ANY {
    rcode NXDOMAIN
  }
}
COREFILE
    echo "nameserver $(control_address)" >"$config/resolv.conf"
}

# What CoreDNS may read.
dns_access() {
    cat <<'YAML'
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: coredns}
rules:
- {apiGroups: [""], resources: [services, pods, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: coredns}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: coredns}]
YAML
}

# node_files NODE
node_files() {
    local home="$state/nodes/$1" own
    own="$home/config"
    mkdir -p "$own/cni"
    kubelet_file "$1" >"$own/kubelet.yaml"
    proxy_file "$1" >"$own/kube-proxy.yaml"
    containerd_file "$own/cni" >"$own/containerd.toml"
    # Plain routes and no bridge: works without the kernel's bridge filter.
    cat >"$own/cni/10-pods.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipMasq": false, "ipam": {
  "type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "$(node_pods "$1")"}]],
  "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
}

kubelet_file() {
    cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $(node_address "$1")
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$pki/ca.crt"}}
authorization: {mode: Webhook}
tlsCertFile: "$pki/$1.crt"
tlsPrivateKeyFile: "$pki/$1.key"
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$(link)/$1
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: [pods]
clusterDomain: cluster.local
clusterDNS: [$(control_address)]
resolvConf: "$config/resolv.conf"
# The disk is the host's, and images cannot be pulled again: nothing is evicted or collected for want of space.
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
serializeImagePulls: false
# Seen as lost after 20 s: ten renewals missed.
nodeLeaseDurationSeconds: 8
nodeStatusUpdateFrequency: 5s
healthzBindAddress: 127.0.0.1
maxPods: 110
YAML
}

proxy_file() {
    cat <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: $1
clusterCIDR: $(all_pods)
nftables: {minSyncPeriod: 100ms}
clientConnection: {kubeconfig: "$config/kube-proxy.kubeconfig"}
# 0: leave the machine's limits alone.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
metricsBindAddress: 127.0.0.1:10249
healthzBindAddress: 127.0.0.1:10256
YAML
}

containerd_file() {
    local snapshotter=overlayfs
    # No overlay upon an overlay, as inside a container.
    if [[ $(stat -fc %T "$state") == overlayfs ]]; then snapshotter=native; fi
    cat <<TOML
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing", "io.containerd.nri.v1.nri"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "$snapshotter"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "test.local/pause:1"
[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE no pod could be started otherwise.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["$("$provide" --path packages)"]
    conf_dir = "$1"
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
TOML
}
