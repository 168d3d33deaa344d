#!/bin/sh
# shellcheck disable=SC2016 # expanded by the shell that runs it
# The guest that counts, from data/go until data/enough: numbered packets both ways while a file comes over TCP.
ip addr add 10.0.0.1/24 dev eth0
ip link set eth0 up
wait=0
until ping -c 1 -W 2 10.0.0.2 > /dev/null && wget -q -O /tmp/sum http://10.0.0.2/sum; do
  wait=$((wait + 1)); test $wait -lt 30 || exit 1; sleep 1
done
udpseq run --to 10.0.0.2:7000 --rate 200 --seconds 1 > /dev/null # the switch and the caches know all
(while wget -q -O /tmp/file http://10.0.0.2/file; do
   if test "$(md5sum < /tmp/file)" = "$(cat /tmp/sum)"; then echo good; else echo bad; fi
   test -e /tmp/stop && break
 done; echo end) > /tmp/fetched &
xenstore-write data/counting 1
until xenstore-exists data/go; do sleep 0.1; done
udpseq run --to 10.0.0.2:7000 --rate 200 --seconds 3600 --size 400 --json /tmp/count.json &
counting=$!
until xenstore-exists data/enough; do sleep 0.1; done
kill $counting
touch /tmp/stop
wait
cat /tmp/count.json
sort /tmp/fetched | uniq -c
# What reached a guest whose own socket had no room (its UDP memory, when the guest gets too little of the processor) was carried.
sed -n 's/.*"lost": \([0-9]*\).*"overflowed": \([0-9]*\).*/\1 \2/p' /tmp/count.json > /tmp/lost
check "no packet sent was lost on its way, either way" awk '$1 > $2 { bad = 1 } END { exit bad || NR != 2 }' /tmp/lost
check "none was damaged" sh -c 'test $(grep -c "\"foreign\": 0" /tmp/count.json) = 2'
for way in there back; do
  for what in duplicated reordered overflowed longest_silence_ms; do
    record net_uk "$way $what" "" "$(sed -n "s/.*\"$way\".*\"$what\": \([0-9.]*\).*/\1/p" /tmp/count.json)"
  done
done
check "TCP went on, content right" sh -c 'grep -q good /tmp/fetched && grep -q end /tmp/fetched && ! grep -q bad /tmp/fetched'
event "the stream went on"
xenstore-write data/done 1
grep Udp: /proc/net/snmp
