# Sourced by the scripts of the test cluster: where things are, and how a cluster's names and addresses follow from
# its slot. A state folder holds everything of one cluster:
#
#   slot                     number of the cluster on this machine, see below
#   hub.pid                  first process of the network between the nodes; all nodes' processes are below it
#   admin.kubeconfig         for kubectl and tests
#   pki/ config/ log/        keys and certificates, configuration files, logs of what belongs to no node
#   nodes/NAME/              pid, config/, log/, disk/ (/var/lib/{kubelet,containerd,cni}), stopped/ (held processes)
# shellcheck shell=bash

# shellcheck disable=SC2034 # settings are read by the scripts that source this
parts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
provide="$parts/../../tools/provide"
longest_wait=120 # seconds for any one step of a start; 5 are usual

# A folder of the user's own: keys of a cluster do not belong where others can write.
default_state="${TOPIC_GATEWAY_CLUSTER:-${XDG_STATE_HOME:-$HOME/.local/state}/topic-gateway/cluster}"

say() { echo "tests/cluster: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

# usage FILE: prints the comment at the head of a script.
usage() {
    sed -n '2,/^[^#]/p' "$1" | sed -n 's/^# \{0,1\}//p' >&2
    exit 64
}

# use STATE: makes a state folder the one that the functions below speak of.
use() {
    state=$(realpath -m "$1")
    pki="$state/pki"
    config="$state/config"
    # What kubectl remembers of a cluster ends with it: the next one may have the same address.
    export KUBECONFIG="$state/admin.kubeconfig" KUBECACHEDIR="$state/kubectl"
    slot=$(cat "$state/slot" 2>/dev/null) || slot=''
}

# address THIRD FOURTH: an address in the cluster's /19 out of 198.18.0.0/15, which is set aside for test networks.
# So 16 clusters fit on a machine. Third byte: 0 nodes, 4–7 pods of one node each, 16–31 services (4 096).
address() { echo "198.$((18 + slot / 8)).$((slot % 8 * 32 + $1)).$2"; }

host_address() { address 0 1; }
control_address() { address 0 10; }
all_pods() { echo "$(address 4 0)/22"; }
all_services() { echo "$(address 16 0)/20"; }
first_service() { address 16 1; }

# The node's place in the alphabet, from 0: node-a runs the control plane as well.
index_of() { echo $(($(printf '%d' "'${1#node-}") - 97)); }
node_address() { address 0 $((10 + $(index_of "$1"))); }
node_pods() { echo "$(address $((4 + $(index_of "$1"))) 0)/24"; }

# The cluster's network interface on the host and the name of its control groups.
link() { echo "tgcluster$slot"; }

nodes() { (cd "$state/nodes" 2>/dev/null && ls) || true; }

# runs FILE: whether the process named by the pid file lives and is the one meant: its command line names the state.
runs() {
    local pid
    pid=$(cat "$1" 2>/dev/null) && [[ -r "/proc/$pid/cmdline" ]] && grep -qaF "$state" "/proc/$pid/cmdline"
}

# wait_for SECONDS FILE COMMAND…: waits until the command succeeds; FILE is the log to look into if it never does.
wait_for() {
    local end=$((SECONDS + $1)) log=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || fail "gave up waiting for: $*; see $log"
        sleep 0.05
    done
}

gone() { ! runs "$1"; }

# inside NODE COMMAND…: runs a command in all namespaces of a node.
inside() {
    local pid
    pid=$(cat "$state/nodes/$1/pid")
    shift
    nsenter -t "$pid" --net --mount --uts --ipc --pid -- "$@"
}

# The programs of the cluster, found by name from here on.
use_tools() {
    local name
    for name in "$@"; do PATH="$("$provide" --path "$name"):$PATH"; done
    export PATH
}
