# Sourced by what runs the cluster's processes: their command lines, as arrays called by the processes' names.
# shellcheck shell=bash disable=SC2034,SC2154 # names that settings.sh and the sourcing script share

# etcd_command CLIENT_PORT PEER_PORT FOLDER
etcd_command() {
    etcd=(etcd --name=etcd --data-dir="$3"
        # A test's data need not survive the machine.
        --unsafe-no-fsync
        --listen-client-urls="http://127.0.0.1:$1" --advertise-client-urls="http://127.0.0.1:$1"
        --listen-peer-urls="http://127.0.0.1:$2" --initial-advertise-peer-urls="http://127.0.0.1:$2"
        --initial-cluster="etcd=http://127.0.0.1:$2"
        --auto-compaction-mode=periodic --auto-compaction-retention=5m --log-level=warn)
}

# apiserver_command ETCD_PORT BIND ADVERTISE PORT SERVICES
apiserver_command() {
    apiserver=(kube-apiserver --etcd-servers="http://127.0.0.1:$1"
        --bind-address="$2" --advertise-address="$3" --secure-port="$4" --service-cluster-ip-range="$5"
        --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key"
        --client-ca-file="$pki/ca.crt" --cert-dir="$state"
        "--authorization-mode=Node,RBAC" --allow-privileged=true
        # The second, which some distributions turn on, asks more rights of whoever makes objects with an owner.
        "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement"
        --service-account-issuer=https://kubernetes.default.svc.cluster.local
        --service-account-key-file="$pki/accounts.pub" --service-account-signing-key-file="$pki/accounts.key"
        --kubelet-certificate-authority="$pki/ca.crt"
        --kubelet-client-certificate="$pki/apiserver-kubelet.crt" --kubelet-client-key="$pki/apiserver-kubelet.key"
        --kubelet-preferred-address-types=InternalIP
        --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy-client
        --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group
        --requestheader-extra-headers-prefix=X-Remote-Extra-
        --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key"
        # Pods of a lost node are replaced after 10 s, not 300: tests wait for it.
        --default-not-ready-toleration-seconds=10 --default-unreachable-toleration-seconds=10
        --profiling=false --v=1)
}

# controller_manager_command [PORT]
controller_manager_command() {
    local access="$config/controller-manager.kubeconfig"
    controller_manager=(kube-controller-manager --kubeconfig="$access" --leader-elect=false
        --bind-address=127.0.0.1 --secure-port="${1:-10257}" --cert-dir="$state"
        --authentication-kubeconfig="$access" --authorization-kubeconfig="$access"
        --use-service-account-credentials=true --service-account-private-key-file="$pki/accounts.key"
        --root-ca-file="$pki/ca.crt" --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key"
        # With the usual limits a namespace's default service account appears only after 5 s.
        --kube-api-qps=500 --kube-api-burst=1000
        # A lost node is seen as such after 20 s, not 50.
        --node-monitor-period=1s --node-monitor-grace-period=20s
        --profiling=false --v=1)
}

scheduler_command() {
    scheduler=(kube-scheduler --config="$config/scheduler.yaml" --bind-address=127.0.0.1 --cert-dir="$state"
        --authentication-kubeconfig="$config/scheduler.kubeconfig"
        --authorization-kubeconfig="$config/scheduler.kubeconfig" --profiling=false --v=1)
}

# kubelet_command NODE
kubelet_command() {
    kubelet=(kubelet --config="$state/nodes/$1/config/kubelet.yaml"
        --kubeconfig="$state/nodes/$1/config/kubelet.kubeconfig"
        --hostname-override="$1" --node-ip="$(node_address "$1")"
        --node-labels="topology.kubernetes.io/region=test,topology.kubernetes.io/zone=zone-${1#node-}"
        --root-dir=/var/lib/kubelet --cert-dir=/var/lib/kubelet/pki --v=2)
}
