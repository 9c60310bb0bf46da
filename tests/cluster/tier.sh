# Sourced by tests/run: the two tiers that need Kubernetes. Each test gets by its environment
#
#   KUBECONFIG                 an administrator's access to a cluster
#   PATH                       with kubectl, helm, prometheus, promtool and nats-server
#   TOPIC_GATEWAY_IMAGE        the image under test, TOPIC_GATEWAY_NEXT_IMAGE the same under another name (rollouts)
#   TOPIC_GATEWAY_CLUSTER      the state folder for tests/cluster/{in,node}; absent with somebody's own cluster
#
# and in the first tier only the first two.
# shellcheck shell=bash disable=SC2154 # cache is named by tests/run

readonly api_tools='etcd kubernetes'
readonly cluster_tools="packages pause containerd etcd coredns kubernetes helm nats-server prometheus"

# prepare_tools: builds what is missing in the background, with what the processors have to spare while Rust compiles
# and tests wait. The tiers wait for it by the tools' locks.
prepare_tools() {
    command -v setsid >/dev/null || return 0
    mkdir -p "$cache"
    # shellcheck disable=SC2086 # names
    setsid nice -n 19 tests/tools/provide $cluster_tools >"$cache/tools.log" 2>&1 &
    tools_pid=$!
}

# With the compilers that it has started: it leads a group of its own.
end_preparation() { [[ -z "${tools_pid:-}" ]] || kill -- "-$tools_pid" 2>/dev/null || true; }

# tests_of TARGET: how many tests a target has, to say how many are skipped.
tests_of() { cargo test --locked --test "$1" -- --list 2>/dev/null | grep -c ': test$' || true; }

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
    local why=''
    # shellcheck disable=SC2086 # names
    if ! why=$(tests/tools/provide $api_tools); then
        skip "$(tests_of api)" "$why"
    elif ! tests/cluster/up --api-only --controllers "$state" >/dev/null; then
        failed=$((failed + 1))
    else
        in_cluster count cargo test --locked --test api -- "$@"
    fi
}

# --- A cluster with nodes ------------------------------------------------------------------------------------------

cluster() {
    say 'scenarios in a Kubernetes cluster'
    if [[ -n "${KUBECONFIG:-}" && -n "${TOPIC_GATEWAY_IMAGE:-}" ]]; then
        count cargo test --locked --test cluster -- "$@"
    else
        with_state own_cluster "$@"
    fi
}

own_cluster() {
    local why='' status=0
    # shellcheck disable=SC2086 # names
    why=$(tests/cluster/up --possible "$state" && tests/tools/provide $cluster_tools) || status=$?
    if ((status != 0)); then
        skip "$(tests_of cluster)" "$why"
    elif ! tests/cluster/up "$state" >/dev/null || ! load_images; then
        failed=$((failed + 1))
    else
        TOPIC_GATEWAY_IMAGE=test.local/topic-gateway:test TOPIC_GATEWAY_NEXT_IMAGE=test.local/topic-gateway:next \
            in_cluster count cargo test --locked --test cluster -- "$@"
    fi
}

# in_cluster COMMAND…: with the environment of the cluster in $state.
in_cluster() {
    local TOPIC_GATEWAY_CLUSTER KUBECONFIG PATH=$PATH
    eval "$(tests/cluster/env "$state")"
    "$@"
}

# static_binary: the release build that the Dockerfile makes, its path in $binary.
static_binary() {
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    say "static release build for the image"
    RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --release --bin topic-gateway --target "$host"
    binary="${CARGO_TARGET_DIR:-target}/$host/release/topic-gateway"
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
        && tests/cluster/image "$images/gateway.tar" test.local/topic-gateway:test,test.local/topic-gateway:next \
            Dockerfile "/topic-gateway=$binary" "/etc/ssl/certs/ca-certificates.crt=$(authorities)" \
        && tests/cluster/image "$images/nats.tar" test.local/nats:1 tests/tools/nats-server/Dockerfile \
            "/nats-server=$(tests/tools/provide --path nats-server)/nats-server" \
        && tests/cluster/load --to "$state" "$images"/*.tar
}
