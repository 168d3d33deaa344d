#!/bin/sh
# shellcheck disable=SC2016 # expanded by the shell that runs it
# A guest that counts packets on its first interface while a second one comes and goes.
ip addr add 10.0.0.1/24 dev eth0
ip link set eth0 up
attempt=0
until ping -c 1 -W 2 10.0.0.2 > /dev/null; do attempt=$((attempt + 1)); test $attempt -lt 30 || exit 1; done
udpseq run --to 10.0.0.2:7000 --rate 100 --seconds 1 > /dev/null
xenstore-write data/counting 1
for round in 1 2 3; do
  until [ "$(xenstore-read data/second 2>/dev/null)" = $round ]; do sleep 0.2; done
  until [ -e /sys/class/net/eth1 ]; do sleep 0.2; done
  ip addr add 10.0.0.1$round/24 dev eth1
  ip link set eth1 up
  attempt=0
  until ping -c 1 -W 2 -I eth1 10.0.0.2 > /dev/null; do attempt=$((attempt + 1)); test $attempt -lt 20 || break; done
  check "the second interface answers ($round)" ping -c 3 -i 0.2 -W 2 -I eth1 10.0.0.2
  [ $round = 1 ] && udpseq run --to 10.0.0.2:7000 --rate 100 --seconds 8 --json /tmp/count.json &
  xenstore-write data/answered $round
done
wait
cat /tmp/count.json
check "the first interface lost nothing meanwhile" sh -c 'test $(grep -c "\"lost\": 0" /tmp/count.json) = 2'
xenstore-write data/done 1
