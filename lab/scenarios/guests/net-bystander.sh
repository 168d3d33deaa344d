#!/bin/sh
# shellcheck disable=SC2016 # expanded by the shell that runs it
# The guest that must not feel what a third one does: numbered packets both ways and a file over TCP, until told to stop.
ip addr add 10.0.0.1/24 dev eth0
ip link set eth0 up
wait=0
until ping -c 1 -W 2 10.0.0.2 > /dev/null && wget -q -O /tmp/sum http://10.0.0.2/sum; do
  wait=$((wait + 1)); test $wait -lt 30 || exit 1; sleep 1
done
udpseq run --to 10.0.0.2:7000 --rate 200 --seconds 1 > /dev/null # the switch and the caches know all
# Nobody is there: its ARP requests reach all ports.
ping 10.0.0.99 > /dev/null 2>&1 &
(while wget -q -O /tmp/file http://10.0.0.2/file; do
   if test "$(md5sum < /tmp/file)" = "$(cat /tmp/sum)"; then echo good; else echo bad; fi
   test -e /tmp/stop && break
 done; echo end) > /tmp/fetched &
fetching=$!
udpseq run --to 10.0.0.2:7000 --rate 200 --seconds 3600 --size 400 > /tmp/count &
counting=$!
xenstore-write data/counting 1
until xenstore-exists data/stop; do sleep 0.2; done
kill $counting
wait $counting
touch /tmp/stop
wait $fetching
cat /tmp/count
sort /tmp/fetched | uniq -c
check "packets were counted" test "$(sed -n 's/.*"back": {"sent": \([0-9]*\).*/\1/p' /tmp/count)" -gt 500
check "no packet was lost, either way" test "$(grep -c '"lost": 0,' /tmp/count)" = 2
check "none was damaged" test "$(grep -c '"foreign": 0,' /tmp/count)" = 2
check "TCP went on, content right" sh -c 'grep -q good /tmp/fetched && grep -q end /tmp/fetched && ! grep -q bad /tmp/fetched'
xenstore-write data/done 1
