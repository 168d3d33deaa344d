#!/bin/sh
# shellcheck disable=SC2016 # expanded by the shell that runs it
# shellcheck source=lab/scenarios/net/net-card.sh
. /lab/net-card.sh
start_guest
check "outside pings the guest" outside 30 ping -c 5 -W 3 10.77.0.11
check "outside fetches a file from the guest" outside 60 'wget -q -O got http://10.77.0.11/file && wget -q -O gotsum http://10.77.0.11/sum && test "$(md5sum < got)" = "$(cat gotsum)"'
event "outside fetched from the guest"
outside 60 udpseq run --to 10.77.0.11:7000 --rate 300 --seconds 10 --size 400 > /tmp/count
cat /tmp/count
check "no numbered packet was lost" sh -c 'test $(grep -c "\"lost\": 0" /tmp/count) = 2'
wait-for 60 xenstore-exists "$guest/data/done"
xl destroy inside
cat "$log"
