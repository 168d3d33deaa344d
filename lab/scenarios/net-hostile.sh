#!/bin/sh
# shellcheck disable=SC2016 # expanded by the shell that runs it
log=/var/log/xen/console/guest-net_uk.log
xl create -q /lab/net_uk.cfg
guest right --task /lab/right.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:02"]'
guest left --task /lab/left.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:01"]'
left=/local/domain/$(xl domid left)
wait-for 120 xenstore-exists "$left/data/counting"
event "guests ready"
for attack in indexes receive-indexes backwards beyond-page beyond-packet grants other-grants endless-chain cut-chain \
  unknown-extra endless-extras no-segments scribble changing storm flood; do
  cat > /tmp/hostile.cfg << END
name = "hostile"
type = "pv"
kernel = "/lab/bin/uk-netfront"
memory = 8
extra = "attack=$attack"
vif = ["backend=net_uk,mac=00:16:3e:00:00:66"]
on_poweroff = "preserve"
on_crash = "preserve"
END
  console=/var/log/xen/console/guest-hostile.log
  rm -f "$console"
  xl create -q /tmp/hostile.cfg
  check "$attack: answered as it should be" wait-for 60 grep -q '^PPVMM-TEST.*"ok":true' "$console"
  grep PPVMM-TEST "$console" || tail -3 "$console"
  xl destroy hostile
done
event "all attacks made"
# What was going on when the last attack ended is counted to its end.
rounds=$(xenstore-read "$left/data/rounds")
wait-for 60 sh -c "test \$(xenstore-read $left/data/rounds) -gt $rounds"
xenstore-write "$left/data/stop" 1
check "the bystander is through" wait-for 60 xenstore-exists "$left/data/done"
check "each vif that broke the protocol is named in the log" test "$(grep -c 'disconnected, its front-end sent' "$log")" -ge 12
check "net_uk lives its first life" sh -c "! grep -q 'life 2' $log"
check "netback was never made anew" sh -c "! grep -q 'made anew in' $log"
cat "$log"
xl destroy left
xl destroy right
