#!/bin/sh
# shellcheck disable=SC2016 # expanded by the shell that runs it
# The guest that asks: pings the other, fetches its file and compares.
ip addr add 10.0.0.1/24 dev eth0
ip link set eth0 up
for _ in 1 2 3 4 5 6 7 8 9 10; do
  ping -c 1 -W 2 10.0.0.2 > /dev/null && break
done
check "the other guest answers pings" ping -c 5 -i 0.2 -W 2 10.0.0.2
event "ping answered"
check "large pings pass in fragments" ping -c 3 -i 0.2 -W 2 -s 20000 10.0.0.2
check "a file comes over TCP" wget -q -O /tmp/file http://10.0.0.2/file
wget -q -O /tmp/sum http://10.0.0.2/sum
check "its content is right" sh -c 'test "$(md5sum < /tmp/file)" = "$(cat /tmp/sum)"'
event "file received over TCP"
xenstore-write data/done 1
