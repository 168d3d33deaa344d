#!/bin/sh
# A Linux driver domain: the card given to it, a bridge, Debian's xen-netback, and xl devd, which runs the hotplug script
# of each vif as it does in any driver domain.
while read -r module; do
  grep -q "^$(echo "$module" | tr - _) " /proc/modules || insmod "/usr/lib/modules/$module.ko"
done < /etc/modules.driver
mount -t xenfs xenfs /proc/xen
ip link add lan type bridge forward_delay 0
ip link set lan up
until [ -e /sys/class/net/eth0 ]; do usleep 10000; done
ip link set eth0 up
ip link set eth0 master lan
mkdir -p /run/lock /var/log/xen
xl devd -F > /tmp/devd.log 2>&1 &
until [ "$(cat /sys/class/net/eth0/carrier 2> /dev/null)" = 1 ]; do usleep 10000; done
xenstore-write data/ready 1
event "driver domain ready"
