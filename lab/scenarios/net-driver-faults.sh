#!/bin/sh
# shellcheck source=lab/scenarios/net/net-card.sh
. /lab/net-card.sh
order() { xenstore-write "/local/domain/$net/data/order" "$1"; }
# after ORDER N TEXT: gives it, and waits until the log has TEXT for the Nth time.
after() { order "$1"; wait-for 20 sh -c "test \$(grep -c '$3' $log) -ge $2"; order ""; }
start_guest
start_packets 100
sleep 2
for each in 1 2 3 4 5; do
  after "damage driver" "$each" "wire: the driver died; driver restarted"
done
event "driver died and lives"
for each in 1 2 3; do
  after "stick device" "$each" "too long; driver restarted"
done
event "device stuck and works"
end_packets
event "counted traffic over"
record_packets "driver and device"
sed -n 's/.*driver restarted in \([0-9]*\) us.*/\1/p' "$log" > /tmp/restarts
while read -r us; do
  record net_uk "driver restart" us "$us"
done < /tmp/restarts
order statistics
check "net_uk itself lived through it" sh -c "! grep -q 'life 2' $log"
check "the link was never renegotiated" sh -c "! grep -q 'link changes [1-9]' $log"
cat "$log"
xl destroy inside
