#!/bin/sh
card=00:12.0  # read by nic-up.sh
# shellcheck source=lab/scenarios/net/nic-up.sh
. /lab/nic-up.sh
check "the virtio driver took it" grep -q "virtio-net .*link up" "$log"
check "it answers ping from outside" outside 20 ping -c 5 -W 3 10.77.0.2
check "it echoes 1000 datagrams" outside 30 echo-probe 10.77.0.2 7 --rate 200 --seconds 5
outside 120 udp-sink 9000 20000 100 > /tmp/sink &
sink=$!
wait-for 20 outside 5 grep -q :2328 /proc/net/udp   # port 9000 is bound
order "flood=20000"
for round in 1 2 3; do
  order restart
  says_times 20 $round "nic: restarted"
done
order replace
says 20 "nic: replaced"
says 60 "nic: flood handed over"
code=0; wait $sink || code=$?
cat /tmp/sink
check "all 20000 datagrams came" test $code = 0
check "the image is taken under care" ppvmm adopt /lab/bin/uk-nic --name nic --domid "$(xl domid nic)"
check "20 microreboots" ppvmm microreboot nic --times 20 --limit-ms 5000
says_times 20 20 "serving after .* reborn, .* link up"
check "it answers ping afterwards" outside 20 ping -c 5 -W 3 10.77.0.2
order statistics
says 10 "nic: statistics"
cat "$log"
