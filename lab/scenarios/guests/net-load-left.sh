#!/bin/sh
# Loads the other guest, one load after the other; dom0 says when, and what.
ip addr add 10.0.0.1/24 dev eth0
ip link set eth0 up
attempt=0
until ping -c 1 -W 2 10.0.0.2 > /dev/null; do attempt=$((attempt + 1)); test $attempt -lt 30 || break; done
xenstore-write data/ready 1
done=0
while :; do
  order=$(xenstore-read data/order 2>/dev/null)
  if [ -n "$order" ] && [ "$order" != "$done" ]; then
    done=$order
    eval "netload ${order#* } --to 10.0.0.2:7100 --seconds 1 > /tmp/result"
    xenstore-write data/result "$(cat /tmp/result)"
    xenstore-write data/done "$order"
  fi
  usleep 20000
done
