#!/bin/sh
# A place where load programs run: an address by the guest's name, servers of every load, then orders from the
# XenStore, one after the other: "NUMBER COMMAND". What a command said leaves by the console.
name=$(xenstore-read name)
case $name in
  outsider) address=10.77.0.1 ;;
  inside) address=10.77.0.11 ;;
  *) address=10.77.0.12 ;;
esac
# An interface may come, go and come again: whoever appears gets the address at once, as udev sees to in a distribution.
cat > /tmp/appeared << END
#!/bin/sh
[ -e /sys/class/net/eth0 ] || exit 0
ip -4 addr show dev eth0 | grep -q "$address/" && exit 0
ip addr add "$address/24" dev eth0
ip link set eth0 up
END
chmod +x /tmp/appeared
uevent /tmp/appeared &
until ip -4 addr show dev eth0 2>/dev/null | grep -q "$address/"; do
  /tmp/appeared
  usleep 50000
done
mkdir -p /www
dd if=/dev/urandom of=/www/page bs=1k count=4 2>/dev/null
httpd -h /www
netload serve &
udpseq serve --port 7000 > /dev/null &
iperf3 -s -D
cd /tmp || exit 1
event "$name takes orders"
xenstore-watch data/order | while read -r _; do
  order=$(xenstore-read data/order 2>/dev/null)
  number=${order%% *}
  if [ -z "$number" ] || [ "$number" = "$last" ]; then continue; fi
  last=$number
  sh -c "${order#* }" > /tmp/said 2>&1
  code=$?
  [ -s /tmp/said ] && sendfile /tmp/said "$name.$number"
  event "$name $number $code"
done
