#!/bin/sh
xl create -q /lab/net_uk.cfg
net=$(xl domid net_uk)
guest right --task /lab/right.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:02"]'
guest left --task /lab/guest.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:01"]'
left=/local/domain/$(xl domid left)
vifs="/local/domain/$net/backend/vif/$(xl domid left)"
wait-for 120 xenstore-exists "$left/data/counting"
event "guest up"
check "net_uk is taken under care" ppvmm adopt /lab/bin/net_uk --name net_uk --domid "$net"
for round in 1 2 3; do
  check "attach $round" xl network-attach left backend=net_uk mac=00:16:3e:00:00:1$round rate=10Mb/s
  check "the guest's second interface is connected ($round)" wait-for 30 sh -c "test \"\$(xenstore-read $vifs/1/state)\" = 4"
  xenstore-write "$left/data/second" $round
  wait-for 60 sh -c "test \"\$(xenstore-read $left/data/answered)\" = $round"
  event "second vif talks"
  if [ $round = 2 ]; then
    check "net_uk is reborn with both" ppvmm microreboot net_uk
    check "both are taken over" wait-for 10 grep -q "life 2,.* 3 vif(s) taken over" /var/log/xen/console/guest-net_uk.log
  fi
  check "detach $round" xl network-detach left 1
  check "nothing of it is left ($round)" sh -c "! xenstore-exists $vifs/1"
  event "second vif gone"
done
wait-for 120 xenstore-exists "$left/data/done"
check "a vif whose guest is destroyed vanishes" xl destroy left
check "its directory is gone" sh -c "! xenstore-exists $vifs"
cat /var/log/xen/console/guest-net_uk.log
xl destroy right
