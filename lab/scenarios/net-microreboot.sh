#!/bin/sh
xl create -q /lab/net_uk.cfg
net=$(xl domid net_uk)
guest right --task /lab/right.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:02"]'
guest left --task /lab/left.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:01"]'
left=/local/domain/$(xl domid left)
wait-for 120 xenstore-exists "$left/data/counting"
event "guests ready"
check "net_uk is taken under care" ppvmm adopt /lab/bin/net_uk --name net_uk --domid "$net"
store-paths | grep /vif/ > /tmp/before
xenstore-write "$left/data/go" 1
for each in $(seq 1 20); do
  ppvmm microreboot net_uk --json /tmp/reboot.json > /tmp/reboot.txt
  test "$each" = 1 && event "first microreboot"
  ms=$(sed -n 's/.*"mean": *\([0-9.]*\).*/\1/p' /tmp/reboot.json | head -1)
  record net_uk microreboot ms "$ms"
  usleep 300000
done
cat /tmp/reboot.txt
xenstore-write "$left/data/enough" 1
wait-for 120 xenstore-exists "$left/data/done"
event "counted traffic over"
store-paths | grep /vif/ > /tmp/after
check "XenStore says about the vifs what it said before" cmp /tmp/before /tmp/after
check "guests' ends stayed connected" sh -c "test \$(xenstore-read $left/device/vif/0/state) = 4"
check "there were twenty-one lives" sh -c "ppvmm vitals net_uk | grep -q 'incarnation: *21'"
ppvmm vitals net_uk
tail -60 /var/log/xen/console/guest-net_uk.log
xl destroy left
xl destroy right
