#!/bin/sh
# Does what dom0 writes to its data/order, a shell command; the number, exit code and last line of output go back.
ip addr add "10.0.0.$(xenstore-read data/host)/24" dev eth0
ip link set eth0 up
netload serve &
udpseq serve --port 7000 &
xenstore-write data/ready 1
done=0
while :; do
  order=$(xenstore-read data/order 2>/dev/null)
  if [ -n "$order" ] && [ "$order" != "$done" ]; then
    done=$order
    sh -c "${order#* }" > /tmp/result 2>&1
    code=$?
    cat /tmp/result
    xenstore-write data/result "$(tail -c 1500 /tmp/result)"
    xenstore-write data/done "${order%% *} $code"
  fi
  usleep 50000
done
