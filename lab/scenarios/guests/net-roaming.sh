#!/bin/sh
# A guest on the network outside that gives its address to whatever interface it has, as a Linux system's network
# manager does. Serves a file and udpseq.
address() {
  while true; do
    for each in /sys/class/net/eth*; do
      name=${each##*/}
      test -e "$each" && ! ip addr show dev "$name" | grep -q 10.77.0.11 && ip addr add 10.77.0.11/24 dev "$name" && ip link set "$name" up
    done
    sleep 0.1
  done
}
address &
mkdir -p /www
dd if=/dev/urandom of=/www/file bs=1M count=1 2>/dev/null
md5sum < /www/file > /www/sum
httpd -h /www
udpseq serve --port 7000 &
attempt=0
until ping -c 1 -W 2 10.77.0.1 > /dev/null; do attempt=$((attempt + 1)); test $attempt -lt 20 || break; done
check "the guest pings outside" ping -c 3 -W 2 10.77.0.1
xenstore-write data/ready 1
