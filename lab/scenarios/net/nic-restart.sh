#!/bin/sh
# shellcheck source=lab/scenarios/net/nic-up.sh
. /lab/nic-up.sh
# It learns who we are from our question for its address.
check "it answers ping from outside" outside 20 ping -c 2 -W 3 10.77.0.2
outside 120 udp-sink 9000 20000 100 > /tmp/sink &
sink=$!
wait-for 20 outside 5 grep -q :2328 /proc/net/udp   # port 9000 is bound

# stick: stops the transmitter; the ping makes sure that something waits for it, however fast the rest went.
stick() {
  order stick
  outside 20 ping -c 1 -W 2 10.77.0.2 > /dev/null || true
}

order "flood=20000"
for round in 1 2 3; do
  stick
  says_times 20 $round "nic: restarted"
done
event "three times stuck and restarted"
order restart
says_times 20 4 "nic: restarted"
order replace
says 20 "nic: replaced"
event "all restarts done"
says 60 "nic: flood handed over"
code=0; wait $sink || code=$?
cat /tmp/sink
check "all 20000 datagrams came" test $code = 0
check "frames were in flight at a restart" grep -q "restarted in .* us, [1-9][0-9]* frames sent again" "$log"
check "the link was never negotiated again" sh -c "! grep -q 'link changes [1-9]' $log"
# shellcheck disable=SC2046  # several values
record ppvmm "driver restart" us $(sed -n 's/.*nic: restarted in \([0-9]*\) us.*/\1/p' "$log")

# The other way: echoes while the driver is restarted in the middle.
outside 60 echo-probe 10.77.0.2 7 --rate 200 --seconds 20 > /tmp/probe &
probe=$!
for round in 5 6; do
  stick
  says_times 20 $round "nic: restarted"
done
code=0; wait $probe || code=$?
cat /tmp/probe
check "echoes go on" test $code = 0
order statistics
says 10 "nic: statistics"
cat "$log"
