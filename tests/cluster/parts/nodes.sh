# Sourced by up, down and node: starts and stops the nodes' namespaces.
# shellcheck shell=bash disable=SC2034,SC2154 # names that settings.sh and the sourcing script share

# The folders below which control groups are made: one per hierarchy of version 1, or the only one of version 2.
hierarchies() {
    if [[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]]; then
        echo /sys/fs/cgroup
    else
        local folder
        for folder in /sys/fs/cgroup/*/; do
            [[ $(stat -fc %T "$folder") == cgroupfs && ! -L "${folder%/}" ]] && echo "${folder%/}"
        done
    fi
}

# make_groups NODE: kubelet wants its root to be there, with all that its children may use.
make_groups() {
    local top group
    for top in $(hierarchies); do
        for group in "$(link)" "$(link)/$1"; do
            mkdir -p "$top/$group"
            if [[ -e "$top/$group/cpuset.cpus" && -e "$top/cpuset.cpus" ]]; then # version 1
                cat "$top/$(dirname "$group")/cpuset.cpus" >"$top/$group/cpuset.cpus"
                cat "$top/$(dirname "$group")/cpuset.mems" >"$top/$group/cpuset.mems"
            fi
        done
        if [[ -e "$top/cgroup.controllers" ]]; then # version 2
            for group in . "$(link)" "$(link)/$1"; do
                sed 's/[^ ]\+/+&/g' "$top/$group/cgroup.controllers" >"$top/$group/cgroup.subtree_control"
            done
        fi
    done
}

# remove_groups GROUP: all below it as well; the kernel gives a group free a moment after its last process.
remove_groups() {
    local top left _
    for _ in $(seq 100); do
        left=''
        for top in $(hierarchies); do
            [[ -d "$top/$1" ]] || continue
            find "$top/$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
            if [[ -d "$top/$1" ]]; then left="$top/$1"; fi
        done
        [[ -z "$left" ]] && return
        sleep 0.05
    done
    say "control group $left is still in use"
    return 1
}

# start_node NODE: returns once the node is on the network; its processes go on starting.
start_node() {
    local home="$state/nodes/$1" hub
    hub=$(cat "$state/hub.pid")
    mkdir -p "$home/log"
    rm -f "$home/pid"
    make_groups "$1"
    setsid nsenter -t "$hub" --pid -- unshare --net --mount --uts --ipc --pid --fork -- \
        "$parts/machine" "$state" "$1" </dev/null >>"$home/log/machine.log" 2>&1 9>&- &
    wait_for 10 "$home/log/machine.log" test -s "$home/pid"
    nsenter -t "$hub" --net -- ip link add "$1" type veth peer name eth0 netns "$(cat "$home/pid")"
    nsenter -t "$hub" --net -- ip link set "$1" master switch up
}

# end FILE: kills the first process of namespaces; the kernel takes all others of them.
end() {
    if runs "$1"; then
        kill -KILL "$(cat "$1")"
        wait_for 10 "$state/log" gone "$1"
    fi
    rm -f "$1"
}

# stop_node NODE: as if its power failed; its disk is kept.
stop_node() {
    end_visitors "$1"
    end "$state/nodes/$1/pid"
    remove_groups "$(link)/$1"
}

# end_visitors NODE: ends what `in` still runs in the node's network, as it would hold it: such a process is in the
# network but not among the node's processes.
end_visitors() {
    local pid network processes visitor
    runs "$state/nodes/$1/pid" || return 0
    pid=$(cat "$state/nodes/$1/pid")
    network=$(readlink "/proc/$pid/ns/net")
    processes=$(readlink "/proc/$pid/ns/pid")
    for visitor in /proc/[0-9]*; do
        if [[ $(readlink "$visitor/ns/net") == "$network" && $(readlink "$visitor/ns/pid") != "$processes" ]]; then
            kill -KILL "${visitor#/proc/}" || true
        fi
    done 2>/dev/null
}
