# shellcheck shell=sh
# Sourced by scenarios: net_uk built by root, with the card at 00:10.0, and what is asked about it. Needs /lab/root.sh, /lab/root-check.sh and /lab/inside.sh.
# shellcheck source=lab/scenarios/root.sh
. /lab/root.sh
# shellcheck source=lab/scenarios/net/inside.sh
. /lab/inside.sh
log=/var/log/xen/console/guest-net_uk.log
# However it ends: what root saw and did.
leave_word() {
  ppvmm status; ppvmm history --json /tmp/history.json; sendfile /tmp/history.json history.json
  sendfile "$root_log" root.log
}
trap leave_word EXIT
says() { wait-for "$1" grep -q "$2" "$log"; }
# start_net NAME CARD: a net_uk with a card, under root's care.
start_net() {
  xl pci-assignable-add "$2"
  ppvmm net start /lab/bin/net_uk --name "$1" --pci "$2" --limit-ms 20000
  wait-for 30 grep -q "wire: .* link up" "/var/log/xen/console/guest-$1.log"
}
