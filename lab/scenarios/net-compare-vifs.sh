#!/bin/sh
cpu_of() { xl list | sed -n "s/^$1  *[0-9]* .* \([0-9.]*\)\$/\1/p"; }
value() { echo "$1" | sed -n "s/.*\"$2\": \([0-9.]*\).*/\1/p"; }
number=0
# load WHAT...: the left guest does it; the result is in $result.
load() {
  number=$((number + 1))
  xenstore-write "$left/data/order" "$number $*"
  # Dom0 does nothing meanwhile, or it would be measured as well: the load takes a second.
  sleep "${quiet_s:-1.3}"
  wait-for 60 sh -c "test \"\$(xenstore-read $left/data/done)\" = '$number $*'"
  result=$(xenstore-read "$left/data/result")
}
# measure SYSTEM DOMAIN VIF
measure() {
  guest right --task /lab/right.sh --with /lab/bin/netload --extra "vif = [\"mac=00:16:3e:00:00:02,$3\"]"
  guest left --task /lab/left.sh --with /lab/bin/netload --extra "vif = [\"mac=00:16:3e:00:00:01,$3\"]"
  left=/local/domain/$(xl domid left)
  wait-for 100 xenstore-exists "$left/data/ready"
  load echo
  before=$(cpu_of "$2")
  for _ in 1 2 3; do
    load send
    record "$1" "TCP stream" Mbit/s "$(value "$result" mbit_s)"
    bytes=$(value "$result" bytes)
    check "$1: data flowed" test "${bytes:-0}" -gt 100000
    after=$(cpu_of "$2")
    record "$1" "back-end CPU" s/GB "$(awk "BEGIN { print ($after - $before) / ($bytes / 1e9) }")"
    before=$after
  done
  for size in 64 1400 16000; do
    load echo --size $size
    record "$1" "round trip of $size bytes" us "$(value "$result" mean_us)"
    record "$1" "round trip of $size bytes, p99" us "$(value "$result" p99_us)"
  done
  event "$1 measured"
  xl destroy left
  xl destroy right
}
ip link add lan type bridge forward_delay 0
ip link set lan up
measure linux-dom0 Domain-0 script=/lab/vif-plain
xl create -q /lab/net_uk.cfg
measure net_uk net_uk backend=net_uk
xl list
