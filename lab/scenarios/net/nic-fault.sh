#!/bin/sh
# shellcheck source=lab/scenarios/net/nic-up.sh
. /lab/nic-up.sh
check "it answers ping from outside" outside 20 ping -c 2 -W 3 10.77.0.2
outside 120 udp-sink 9000 20000 100 > /tmp/sink &
sink=$!
wait-for 20 outside 5 grep -q :2328 /proc/net/udp   # port 9000 is bound
order "flood=20000"
for round in 1 2 3 4 5 6 7 8 9 10; do
  order damage
  says_times 20 $round "nic: restarted"
  order ""
done
event "ten drivers died"
says 60 "nic: flood handed over"
code=0; wait $sink || code=$?
cat /tmp/sink
check "all 20000 datagrams came" test $code = 0
check "ten drivers died, each alone" grep -q "driver deaths 10" "$log"
check "the image is in its first life" sh -c "! grep -q reborn $log"
check "the link was never negotiated again" sh -c "! grep -q 'link changes [1-9]' $log"
check "it answers ping from outside afterwards" outside 20 ping -c 3 -W 3 10.77.0.2
# The pool has back what the dead ones held: as many buffers are free after the tenth death as after the first.
check "no buffer was lost" sh -c "test \$(sed -n 's/.*driver deaths 10, buffers free \([0-9]*\).*/\1/p' $log) -gt 500"
# shellcheck disable=SC2046  # several values
record ppvmm "driver replaced after its death" us $(sed -n 's/.*nic: restarted in \([0-9]*\) us.*/\1/p' "$log")
cat "$log"
