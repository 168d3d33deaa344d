#!/bin/sh
# shellcheck disable=SC2154  # log and net come from net-card.sh
# shellcheck source=lab/scenarios/net/net-card.sh
. /lab/net-card.sh
start_guest
under_care
find_driver_code
start_packets 100
wait-for 20 outside 5 ping -c 1 -W 1 10.77.0.11
check "the driver's code is overwritten from outside" ppvmm inject net_uk overwrite --address "$rip" --bytes 0f0b
wait-for 20 sh -c "ppvmm vitals net_uk | grep -q '^state: dead'"
event "net_uk gave up"
check "by itself, as one whose code is damaged" grep -q "code is damaged" "$log"
check "its next life has the code back" ppvmm microreboot net_uk --limit-ms 10000 --json /tmp/reboot
# shellcheck disable=SC2016
check "one page of code had to be restored" sh -c 'test "$(sed -n "s/.*\"damaged_pages\": *\([0-9]*\).*/\1/p" /tmp/reboot)" = 1'
check "the guest is reached again" outside 30 ping -c 3 -W 3 10.77.0.11
end_packets
event "counted traffic over"
record_packets "the driver's code"
xl destroy inside
cat "$log"
