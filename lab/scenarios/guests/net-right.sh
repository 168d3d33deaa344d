#!/bin/sh
# The guest that serves: an address, and a file over HTTP.
ip addr add 10.0.0.2/24 dev eth0
ip link set eth0 up
mkdir -p /www
dd if=/dev/urandom of=/www/file bs=1M count=2 2>/dev/null
md5sum < /www/file > /www/sum
httpd -h /www
if [ -x /lab/bin/udpseq ]; then udpseq serve --port 7000 & fi
xenstore-write data/ready 1
