#!/bin/sh
# shellcheck disable=SC2016 # expanded by the shell that runs it
log=/var/log/xen/console/guest-net_uk.log
xl create -q /lab/net_uk.cfg
guest right --task /lab/right.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:02"]'
guest left --task /lab/left.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:01"]'
left=/local/domain/$(xl domid left)
wait-for 120 xenstore-exists "$left/data/counting"
event "guests ready"
# One vif for each attack (tests/unikernels/netfront/attacks.cpp).
vifs=
for each in 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10; do
  vifs="$vifs'backend=net_uk,mac=00:16:3e:00:66:$each',"
done
cat > /tmp/hostile.cfg << END
name = "hostile"
type = "pv"
kernel = "/lab/bin/uk-netfront"
memory = 8
vif = [$vifs]
on_poweroff = "preserve"
on_crash = "preserve"
END
console=/var/log/xen/console/guest-hostile.log
xl create -q /tmp/hostile.cfg
check "every attack is answered as it should be" wait-for 200 grep -q '^PPVMM-TEST.*"ok":true' "$console"
cat "$console"
event "all attacks made"
check "xl destroys the hostile guest without a complaint" sh -c 'xl destroy hostile 2>&1 | tee /tmp/destroyed; ! grep -q . /tmp/destroyed'
# What was going on when the last attack ended is counted as well.
sleep 1
xenstore-write "$left/data/stop" 1
check "the bystander is through" wait-for 60 xenstore-exists "$left/data/done"
check "each vif that broke the protocol is named in the log" test "$(grep -c 'disconnected, its front-end sent' "$log")" -ge 12
check "each was made anew first, to be sure that it was not netback" test "$(grep -c 'is doubted .* and made anew' "$log")" -ge 8
check "net_uk lives its first life" sh -c "! grep -q 'life 2' $log"
check "netback was never made anew" sh -c "! grep -q 'made anew in' $log"
xenstore-write "/local/domain/$(xl domid net_uk)/data/order" statistics
check "what was sent from guest to guest went from page to page" wait-for 10 grep -q 'lent from guest to guest [1-9]' "$log"
cat "$log"
xl destroy left
xl destroy right
