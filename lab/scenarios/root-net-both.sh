#!/bin/sh
# Two units of root fail at once. net_uk is entered again in place without asking anybody; to be built anew it needs
# XenStore, and waits for it.
# shellcheck source=lab/scenarios/net/net-root.sh
. /lab/net-root.sh
start_net net_uk 00:10.0
event "net_uk has its card"
guest inside --task /lab/guest.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:0b"]'
guest=/local/domain/$(xl domid inside)
outside 20 'dd if=/dev/urandom of=file bs=1M count=1 2>/dev/null; md5sum < file > sum; httpd -h . -p 10.77.0.1:80'
xenstore-write "$guest/data/go" 1
wait-for 300 xenstore-exists "$guest/data/ready"
event "guest up"

# both WHAT: both are well again, XenStore answers, and the guest's vif is where it was.
both() {
  is "$1: XenStore is well" set Xenstore
  is "$1: net_uk is well" well net_uk
  check "$1: XenStore answers, the vif is connected" sh -c "test \$(xenstore-read $guest/device/vif/0/state) = 4"
}
start_counting 120
ppvmm inject Xenstore wild-rip --seed 1
ppvmm inject net_uk wild-rip --seed 1
both "XenStore, then net_uk crashed"
ppvmm inject net_uk wild-rip --seed 2
ppvmm inject Xenstore wild-rip --seed 2
both "net_uk, then XenStore crashed"
ppvmm inject Xenstore loop --seed 3
ppvmm inject net_uk destroy
both "XenStore hung, net_uk destroyed"
ppvmm inject net_uk destroy
ppvmm inject Xenstore destroy
both "net_uk, then XenStore destroyed"
ppvmm inject Xenstore destroy
ppvmm inject net_uk destroy
both "XenStore, then net_uk destroyed"
ppvmm inject net_uk destroy
usleep 50000 # in the middle of what is done for net_uk in XenStore
ppvmm inject Xenstore wild-rip --seed 4
both "XenStore crashed while net_uk was being built"
ppvmm inject Xenstore destroy
ppvmm inject net_uk wild-rip --seed 5
kill -9 "$(cat /run/ppvmm/root.pid)"
root_up
both "XenStore destroyed, net_uk crashed, root killed"
end_counting "both"
event "both: over"
