#!/bin/sh
# A guest that others load: netload and udpseq serve, and it loads the outside itself when told.
ip addr add 10.77.0.11/24 dev eth0
ip link set eth0 up
netload serve &
udpseq serve --port 7000 &
attempt=0
until ping -c 1 -W 2 10.77.0.1 > /dev/null; do attempt=$((attempt + 1)); test $attempt -lt 30 || break; done
xenstore-write data/ready 1
