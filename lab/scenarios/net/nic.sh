#!/bin/sh
# shellcheck source=lab/scenarios/net/nic-up.sh
. /lab/nic-up.sh
check "the link is up" grep -q "link up" "$log"
check "it answers ping from outside" outside 20 ping -c 5 -W 3 10.77.0.2
check "it echoes 1000 datagrams" outside 30 echo-probe 10.77.0.2 7 --rate 200 --seconds 5
order statistics
says 10 "nic: statistics"
check "nothing was malformed" grep -q "errors 0 missed 0" "$log"
cat "$log"
