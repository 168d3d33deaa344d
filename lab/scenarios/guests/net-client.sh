#!/bin/sh
# shellcheck disable=SC2016 # expanded by the shell that runs it
# A guest on the network outside: serves a file and udpseq, fetches a file.
ip addr add 10.77.0.11/24 dev eth0
ip link set eth0 up
mkdir -p /www
dd if=/dev/urandom of=/www/file bs=1M count=4 2>/dev/null
md5sum < /www/file > /www/sum
httpd -h /www
udpseq serve --port 7000 &
until xenstore-exists data/go; do sleep 0.2; done
attempt=0
until ping -c 1 -W 2 10.77.0.1 > /dev/null; do attempt=$((attempt + 1)); test $attempt -lt 10 || break; done
check "the guest pings outside" ping -c 3 -W 2 10.77.0.1
check "the guest fetches a file from outside" wget -q -O /tmp/file http://10.77.0.1/file
wget -q -O /tmp/sum http://10.77.0.1/sum
check "its content is right" sh -c 'test "$(md5sum < /tmp/file)" = "$(cat /tmp/sum)"'
event "guest fetched from outside"
xenstore-write data/ready 1
xenstore-write data/done 1
