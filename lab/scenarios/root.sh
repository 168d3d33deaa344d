# shellcheck shell=sh
# Sourced by scenarios (as /lab/root.sh): root itself, and what is asked about it (root-check.sh).
root_log=/var/log/xen/ppvmm-root.log
root_config=/lab/root.toml
# begin_root: the daemon, which is not waited for. root_up: and it answers. kill_root: SIGKILL.
begin_root() { ppvmm-root --config "$root_config" >> "$root_log" 2>&1 & }
root_up() { begin_root; wait-for 20 ppvmm history; }
kill_root() { kill -9 "$(cat /run/ppvmm/root.pid)"; }
# is NAME QUESTION...
is() { what=$1; shift; check "$what" sh /lab/root-check.sh "$@"; }
