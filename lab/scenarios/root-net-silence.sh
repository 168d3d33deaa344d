#!/bin/sh
# Guest to guest, so that one clock counts: the machine's own.
# shellcheck source=lab/scenarios/net/net-root.sh
. /lab/net-root.sh
start_net net_uk 00:10.0
guest right --task /lab/right.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:02"]'
guest left --task /lab/left.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:01"]'
left=/local/domain/$(xl domid left)
wait-for 300 xenstore-exists "$left/data/counting"
event "guests ready"
xenstore-write "$left/data/go" 1
sleep 1
for each in 1 2 3 4 5 6; do
  ppvmm inject net_uk wild-rip --seed "$each"
  is "crash $each: repaired in place" injected net_uk wild-rip "$each"
  is "crash $each: it is well" well net_uk
done
for each in 1 2 3; do
  ppvmm inject net_uk loop --seed "$((6 + each))" --when running
  is "hang $each: repaired in place" injected net_uk loop "$each"
  is "hang $each: it is well" well net_uk
done
xenstore-write "$left/data/enough" 1
wait-for 300 xenstore-exists "$left/data/done"
event "counted traffic over"
