# shellcheck shell=sh
# Sourced by scenarios: net_uk built by root, with the card at 00:10.0, and what is asked about it.
log=/var/log/xen/console/guest-net_uk.log
# However it ends: what root saw and did.
leave_word() {
  ppvmm status; ppvmm history --json /tmp/history.json; sendfile /tmp/history.json history.json
  sendfile /var/log/xen/ppvmm-root.log root.log
}
trap leave_word EXIT
is() { what=$1; shift; check "$what" sh /lab/root-check.sh "$@"; }
says() { wait-for "$1" grep -q "$2" "$log"; }
# start_net NAME CARD: a net_uk with a card, under root's care.
start_net() {
  xl pci-assignable-add "$2"
  ppvmm net start /lab/bin/net_uk --name "$1" --pci "$2" --limit-ms 20000
  wait-for 30 grep -q "wire: .* link up" "/var/log/xen/console/guest-$1.log"
}
root_up() { ppvmm-root --config /lab/root.toml >> /var/log/xen/ppvmm-root.log 2>&1 & wait-for 20 ppvmm history; }
# start_counting SECONDS: numbered packets both ways between the outside and the guest, and files over TCP.
start_counting() {
  rm -f /tmp/count /tmp/fetched
  outside $(($1 + 240)) "udpseq run --to 10.77.0.11:7000 --rate 100 --seconds $1 --size 400" > /tmp/count &
  counting=$!
  # shellcheck disable=SC2016 # expanded outside
  outside $(($1 + 240)) 'end=$(($(date +%s) + '"$1"')); good=0; while [ $(date +%s) -lt $end ]; do wget -q -O got http://10.77.0.11/file || { echo broken; break; }; test "$(md5sum < got)" = "$(wget -q -O - http://10.77.0.11/sum)" || { echo damaged; break; }; good=$((good + 1)); done; echo "$good fetched"' > /tmp/fetched &
  fetching=$!
}
counted() { sed -n "s/.*\"$1\".*\"$2\": \([0-9.]*\).*/\1/p" /tmp/count; }
# end_counting WHAT: waits for the end, records, and checks that nothing that the guest sent was lost.
end_counting() {
  wait "$counting" "$fetching"
  cat /tmp/count /tmp/fetched
  record net_uk "$1: lost going out" packets "$(counted back lost)"
  record net_uk "$1: lost coming in" packets "$(counted there lost)"
  record net_uk "$1: sent twice" packets "$(counted back duplicated)"
  record net_uk "$1: longest silence going out" ms "$(counted back longest_silence_ms)"
  check "$1: no packet that the guest sent was lost" test "$(counted back lost)" = 0
  check "$1: TCP went on, content right" sh -c 'grep -q "[1-9][0-9]* fetched" /tmp/fetched && ! grep -qE "broken|damaged" /tmp/fetched'
}
