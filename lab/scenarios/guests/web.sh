#!/bin/sh
# A guest that serves a web page to the network outside, and answers numbered packets.
ip addr add 10.77.0.11/24 dev eth0
ip link set eth0 up
mkdir -p /www
{ echo "<h1>A page from a guest</h1>"; head -c 6000 /dev/urandom | base64; } > /www/index.html
httpd -h /www
udpseq serve --port 7000 &
xenstore-write data/ready 1
