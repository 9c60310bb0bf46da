# Sourced by tests/run: the two tiers that need Kubernetes. Each test gets by its environment
#
#   KUBECONFIG                 an administrator's access to a cluster
#   PATH                       with kubectl, helm, prometheus, promtool and nats-server
#   TOPIC_GATEWAY_IMAGE        the image under test, TOPIC_GATEWAY_NEXT_IMAGE the same under another name (rollouts)
#   TOPIC_GATEWAY_NATS_IMAGE   the image of NATS, in place of the one that the examples name
#   NODE_PACKAGES              a folder with the node_modules of tests/node
#   TOPIC_GATEWAY_CLUSTER      the state folder for tests/cluster/{in,node}; absent with somebody's own cluster
#
# and in the first tier only the first two, without nats-server.
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with tests/run and the tests

readonly node_tools='packages pause containerd etcd coredns kubernetes' # tests/cluster/up would build them as well
readonly test_tools='helm nats-server prometheus'

# prepare_tools: builds what is missing in the background, with what the processors have to spare while Rust compiles
# and tests wait. The tiers wait for it by the tools' locks.
prepare_tools() {
    if [[ $(uname -s) != Linux ]] || ((EUID != 0)); then return; fi # no nodes there, and no hurry
    mkdir -p "$cache"
    # shellcheck disable=SC2086 # names
    setsid nice -n 19 tests/tools/provide $node_tools $test_tools >"$cache/tools.log" 2>&1 &
    tools_pid=$!
}

# With the compilers that it has started: it leads a group of its own.
end_preparation() { [[ -z "${tools_pid:-}" ]] || kill -- "-$tools_pid" 2>/dev/null || true; }

# tests_of TARGET[::MODULE::]: how many tests are there, to say how many are skipped.
tests_of() {
    local module=${1#"${1%%::*}"}
    cargo test --locked --test "${1%%::*}" -- --list 2>/dev/null | grep -c "^${module#::}.*: test$" || true
}

# with_state COMMAND…: gives the command a new state folder in $state, and ends the cluster in it, come what may.
with_state() {
    local home="${XDG_STATE_HOME:-$HOME/.local/state}/topic-gateway"
    mkdir -p "$home"
    state=$(mktemp -d "$home/test.XXXXXX")
    clusters+=("$state")
    "$@"
    end_clusters
}

# end_clusters: also called when tests/run ends early. Logs are kept where a test has failed.
end_clusters() {
    local one keep=()
    if ((failed > 0)); then keep=(--keep-logs); fi
    for one in "${clusters[@]:-}"; do
        [[ -n "$one" ]] || continue
        tests/cluster/down "${keep[@]}" "$one" || true
        if ! rmdir "$one" 2>/dev/null && [[ -d "$one" ]]; then say "the cluster's logs are in $one"; fi
    done
    clusters=()
}
clusters=()

# --- API server and etcd only --------------------------------------------------------------------------------------

api() {
    say 'scenarios with an API server'
    with_state api_tests "$@"
}

api_tests() {
    local why without=()
    if came_up api tests/tools/provide helm && came_up api tests/cluster/up --api-only --controllers "$state"; then
        if ! why=$(tests/tools/provide prometheus); then
            without=(--skip operator::watched::)
            skip "$(grep -c '^#\[test\]' tests/api/operator/watched.rs)" "$why"
        fi
        in_cluster count cargo test --locked --test api -- "${without[@]}" "$@"
    fi
}

# A thousand resources; what is measured is the controller, but API server and etcd share the machine. The program is
# built as for the image.
scale() {
    say "${1:-1000} resources and one controller, its bytes ${2:-0} ms late (release build)"
    scale_bench --no-run
    with_state scale_measured "$@"
}

scale_bench() {
    RUSTFLAGS="$static_flags" cargo bench --locked --target "$(host_target)" --bench operator "$@"
}

scale_measured() {
    local why
    if ! why=$(tests/cluster/up --api-only "$state"); then
        skip 1 "$(tail -n 1 <<<"$why")"
    elif in_cluster scale_bench -- "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
}

# came_up TARGET[::MODULE::] COMMAND…: runs the command that brings up what these tests need. If it cannot be here, they
# are skipped for the reason that it prints; if it fails, the tier has.
came_up() {
    local target=$1 why status=0
    shift
    why=$("$@") || status=$?
    case $status in
        0) return ;;
        69) skip "$(tests_of "$target")" "$(tail -n 1 <<<"$why")" ;;
        *) failed=$((failed + 1)) ;;
    esac
    return 1
}

# --- A cluster with nodes ------------------------------------------------------------------------------------------

cluster() {
    say 'scenarios in a Kubernetes cluster'
    if [[ -n "${KUBECONFIG:-}" && -n "${TOPIC_GATEWAY_IMAGE:-}" ]]; then
        foreign_cluster "$@"
    else
        with_state own_cluster "$@"
    fi
}

# cluster_tests [NAME]: what this machine and this cluster admit. The tests wait far more than they compute, so that
# more of them than there are processors run at a time.
cluster_tests() {
    local without=()
    no_node=''
    provide_node_packages
    if [[ -n "$no_node" ]]; then
        without+=(--skip full_example::)
        skip "$(grep -c '^#\[test\]' tests/cluster/full_example.rs)" "$no_node"
    fi
    if [[ -z "${TOPIC_GATEWAY_CLUSTER:-}" ]]; then
        without+=(--skip machines::)
        skip "$(grep -c '^#\[test\]' tests/cluster/machines.rs)" "nodes and API server of this cluster are not ours to stop"
    fi
    without+=(--skip keda::)
    skip "$(grep -c '^#\[test\]' tests/cluster/keda.rs)" 'without KEDA, which tests/run autoscaling builds'
    NODE_PACKAGES="${node_home:-}" count cargo test --locked --test cluster -- --test-threads=8 "${without[@]}" "$@"
}

# The machine must reach the addresses of its pods and Services, and have its kubectl.
foreign_cluster() {
    local why PATH=$PATH TOPIC_GATEWAY_CLUSTER=''
    if ! why=$(tests/tools/provide helm prometheus); then
        skip "$(tests_of cluster)" "$why"
        return
    fi
    PATH="$(tests/tools/provide --path helm):$(tests/tools/provide --path prometheus):$PATH"
    export TOPIC_GATEWAY_NEXT_IMAGE="${TOPIC_GATEWAY_NEXT_IMAGE:?names the same image once more, for rollouts}"
    cluster_tests "$@"
    helm uninstall topic-gateway --namespace topic-gateway --ignore-not-found --wait
}

own_cluster() {
    if came_up cluster with_images; then with_our_images cluster_tests "$@"; fi
}

# with_our_images COMMAND…: in the cluster in $state, with the names of the images that load_images has brought.
with_our_images() {
    TOPIC_GATEWAY_IMAGE=test.local/topic-gateway:test TOPIC_GATEWAY_NEXT_IMAGE=test.local/topic-gateway:next \
        TOPIC_GATEWAY_NATS_IMAGE=test.local/nats:1 in_cluster "$@"
}

# shellcheck disable=SC2086 # names
with_images() { tests/cluster/up "$state" && tests/tools/provide $test_tools && load_images >&2; }

# The same cluster with KEDA in it. What is asked of it would be too much beside other scenarios.
autoscaling() {
    say 'pods by open connections, with KEDA and Prometheus'
    with_state autoscaling_tests
}

autoscaling_tests() {
    if came_up cluster::keda:: with_keda; then
        with_our_images count cargo test --locked --test cluster -- keda:: --nocapture
    fi
}

with_keda() { tests/tools/provide keda && with_images && tests/cluster/keda "$state"; }

# in_cluster COMMAND…: with the environment of the cluster in $state.
in_cluster() {
    local TOPIC_GATEWAY_CLUSTER KUBECONFIG KUBECACHEDIR PATH=$PATH
    eval "$(tests/cluster/env "$state")"
    "$@"
}

readonly static_flags='-C target-feature=+crt-static'

host_target() { rustc -vV | sed -n 's/^host: //p'; }

# static_binary: the binary that the Dockerfile makes, its path in $binary.
static_binary() {
    local host
    host=$(host_target)
    say "static build for the image"
    RUSTFLAGS="$static_flags" cargo build --locked --profile image --bin topic-gateway --target "$host"
    binary="${CARGO_TARGET_DIR:-target}/$host/image/topic-gateway"
}

# authorities: the file of CA certificates that the image gets.
authorities() {
    local file
    for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
        if [[ -s "$file" ]]; then
            echo "$file"
            return
        fi
    done
    echo 'no file of CA certificates on this machine: install ca-certificates' >&2
    return 1
}

load_images() {
    local images="$state/images"
    mkdir -p "$images"
    static_binary \
        && tests/cluster/image --at-most=25 "$images/gateway.tar" test.local/topic-gateway:test,test.local/topic-gateway:next \
            Dockerfile "/topic-gateway=$binary" "/etc/ssl/certs/ca-certificates.crt=$(authorities)" \
        && tests/cluster/image "$images/nats.tar" test.local/nats:1 tests/tools/nats-server/Dockerfile \
            "/nats-server=$(tests/tools/provide --path nats-server)/nats-server" \
        && tests/cluster/load --to "$state" "$images"/*.tar
}
