#!/bin/sh
# shellcheck disable=SC2154  # log and net come from net-card.sh, next_request from the scenario
# shellcheck source=lab/scenarios/net/net-card.sh
. /lab/net-card.sh
start_guest
under_care
start_packets 100
wait-for 20 outside 5 ping -c 1 -W 1 10.77.0.11
# mov $1, %eax; ret: "a packet whose slots are missing", whatever the guest sent.
check "what reads requests is overwritten from outside" ppvmm inject net_uk overwrite --address "$next_request" --bytes b801000000c3
wait-for 20 sh -c "ppvmm vitals net_uk | grep -q '^state: dead'"
event "net_uk gave up"
check "by itself, before it blamed anybody" grep -q "damaged code accused a front-end" "$log"
check "its next life has the code back" ppvmm microreboot net_uk --limit-ms 10000
check "the guest is reached again" outside 30 ping -c 3 -W 3 10.77.0.11
# The same: it says that a packet has got its pieces, and it has none.
check "what makes packets is overwritten from outside" ppvmm inject net_uk overwrite --address "$append" --bytes b801000000c3
wait-for 20 sh -c "ppvmm vitals net_uk | grep -q '^state: dead'"
event "net_uk gave up again"
tail -3 "$log"
check "its next life has that code back, too" ppvmm microreboot net_uk --limit-ms 10000
check "the guest is reached once more" outside 30 ping -c 3 -W 3 10.77.0.11
end_packets
event "counted traffic over"
record_packets "damaged code accuses"
check "no front-end was disconnected" sh -c "! grep -q 'disconnected' $log"
xl destroy inside
cat "$log"
