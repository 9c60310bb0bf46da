# Sourced by up and down: the small variant, an API server and its etcd as plain processes of the user on free ports.
# shellcheck shell=bash disable=SC2034,SC2154 # names that settings.sh and the sourcing script share

free_port() {
    local port
    # Below the range that the kernel gives to clients.
    while port=$((20000 + RANDOM % 12000)); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# background NAME COMMAND…: a process that outlives this script; down ends it.
background() {
    local name=$1
    shift
    setsid "$@" </dev/null >"$state/log/$name.log" 2>&1 9>&- &
    echo "$!" >"$state/$name.pid"
}

# answers NAME PORT: whether the process lives and is ready. That it has ended is told apart: then its port was taken.
answers() { curl -sf --max-time 2 --cacert "$pki/ca.crt" "https://127.0.0.1:$2/readyz" && runs "$state/$1.pid"; }
answers_or_ended() { answers "$@" || ! runs "$state/$1.pid" || ! runs "$state/etcd.pid"; }

start_api() {
    local client peer port name
    client=$(free_port) peer=$(free_port) port=$(free_port)
    etcd_command "$client" "$peer" "$state/etcd"
    background etcd "${etcd[@]}"
    apiserver_command "$client" 127.0.0.1 127.0.0.1 "$port" 10.96.0.0/16
    # There is no node's address to speak of, and the server must not look for a default route.
    background apiserver "${apiserver[@]}" --endpoint-reconciler-type=none
    wait_for "$longest_wait" "$state/log/apiserver.log" answers_or_ended apiserver "$port"
    answers apiserver "$port" >/dev/null || return 1
    for name in admin controller-manager; do kubeconfig "$name" "https://127.0.0.1:$port" "$config/$name.kubeconfig"; done
    mv "$config/admin.kubeconfig" "$KUBECONFIG"
}

# Namespaces get their default service account, owners take their children along, and so on; no pod ever runs.
start_controllers() {
    if runs "$state/controller-manager.pid"; then return; fi
    controller_manager_command "$(free_port)"
    background controller-manager "${controller_manager[@]}"
    wait_for "$longest_wait" "$state/log/controller-manager.log" kubectl -n default get serviceaccount default
}

stop_api() {
    local name
    for name in controller-manager apiserver etcd; do end "$state/$name.pid"; done
}

up_api() {
    local _
    "$provide" etcd kubernetes || exit 69
    use_tools etcd kubernetes
    if ! runs "$state/apiserver.pid" || ! runs "$state/etcd.pid"; then
        for _ in 1 2 3; do # another process may be quicker to take a port that was free
            stop_api
            rm -rf "$state/etcd" "$pki"
            mkdir -p "$pki" "$config" "$state/log"
            authority
            control_certificates
            if start_api; then break; fi
        done
        runs "$state/apiserver.pid" || fail "the API server does not start, see $state/log"
    fi
    if [[ -n "$1" ]]; then start_controllers; fi
}
