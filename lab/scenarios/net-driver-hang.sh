#!/bin/sh
# shellcheck disable=SC2154 # log and net come from net-card.sh
# The driver's code is made to loop, from outside: the call is ended, and since a new driver hangs as well, so is the life.
# shellcheck source=lab/scenarios/net/net-card.sh
. /lab/net-card.sh
start_guest
under_care
find_driver_code
start_packets 100
wait-for 20 outside 5 ping -c 1 -W 1 10.77.0.11
check "the driver's code is made to loop" ppvmm inject net_uk overwrite --address "$rip" --bytes ebfe --json /tmp/injected
wait-for 20 sh -c "ppvmm vitals net_uk | grep -q '^state: dead'"
event "net_uk gave up"
check "a driver that hangs is ended" grep -q "contained fault kind=7" "$log"
check "and replaced" grep -q "wire: the driver hung; driver restarted" "$log"
check "twice is damaged code" grep -q "code is damaged" "$log"
ppvmm vitals net_uk --json /tmp/vitals > /dev/null
cat /tmp/injected /tmp/vitals
check "its next life has the code back" ppvmm microreboot net_uk --limit-ms 10000 --json /tmp/reboot
check "the guest is reached again" outside 30 ping -c 3 -W 3 10.77.0.11
end_packets
event "counted traffic over"
sed -n 's/.*contained fault kind=7.* after \([0-9]*\) us.*/\1/p' "$log" > /tmp/hangs
while read -r us; do
  record net_uk "a call into the driver that hangs is ended after" us "$us"
done < /tmp/hangs
record_packets "the driver hung"
xl destroy inside
cat "$log"
