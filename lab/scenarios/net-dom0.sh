#!/bin/sh
# shellcheck disable=SC2016 # expanded by the shell that runs it
log=/var/log/xen/console/guest-net_uk.log
insmod /usr/lib/modules/xen_netfront.ko
xl create -q /lab/net_uk.cfg
net=$(xl domid net_uk)
guest right --task /lab/right.sh --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:02"]'
wait-for 120 xenstore-exists "/local/domain/$(xl domid right)/data/ready"
check "xl attaches a vif to dom0" xl network-attach 0 backend=net_uk mac=00:16:3e:00:00:a0
check "net_uk connects it" wait-for 30 grep -q 'vif0.0: connected' "$log"
name=$(grep -l 00:16:3e:00:00:a0 /sys/class/net/*/address | cut -d/ -f5)
event "dom0 has an interface"
ip addr add 10.0.0.9/24 dev "$name"
ip link set "$name" up
check "dom0 reaches the guest" wait-for 30 ping -c 1 -W 2 10.0.0.2
check "a file comes over" sh -c 'wget -q -O /tmp/got http://10.0.0.2/file && test "$(md5sum < /tmp/got)" = "$(wget -q -O - http://10.0.0.2/sum)"'
event "dom0 and the guest talk"
check "net_uk is taken under care" ppvmm adopt /lab/bin/net_uk --name net_uk --domid "$net"
check "net_uk is entered again" ppvmm microreboot net_uk
check "dom0 still reaches the guest" wait-for 30 ping -c 1 -W 2 10.0.0.2
check "xl takes it away again" xl network-detach 0 0
check "nothing of it is left" wait-for 20 sh -c "! store-paths | grep -q '^/local/domain/$net/backend/vif/0/0/'"
cat "$log"
xl destroy right
