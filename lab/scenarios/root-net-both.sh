#!/bin/sh
# Two units of root fail at once. net_uk is entered again in place without asking anybody; to be built anew it needs
# XenStore, and waits for it.
# shellcheck source=lab/scenarios/net/net-root.sh
. /lab/net-root.sh
start_net net_uk 00:10.0
event "net_uk has its card"
start_guest

# both WHAT [FAULT TIMES FAULT TIMES]: root has seen and repaired these (XenStore's, net_uk's), both are well again, XenStore
# answers, and the guest's vif is where it was.
both() {
  if [ $# -gt 1 ]; then
    is "$1: XenStore's was seen" injected Xenstore "$2" "$3"
    is "$1: net_uk's was seen" injected net_uk "$4" "$5"
  fi
  is "$1: XenStore is well" set Xenstore
  is "$1: net_uk is well" well net_uk
  check "$1: XenStore answers, the vif is connected" sh -c "test \$(xenstore-read $guest/device/vif/0/state) = 4"
}
start_counting 100
ppvmm inject Xenstore wild-rip --seed 1
ppvmm inject net_uk wild-rip --seed 1
both "XenStore, then net_uk crashed" wild-rip 1 wild-rip 1
ppvmm inject net_uk wild-rip --seed 2
ppvmm inject Xenstore wild-rip --seed 2
both "net_uk, then XenStore crashed" wild-rip 2 wild-rip 2
ppvmm inject Xenstore loop --seed 3
ppvmm inject net_uk destroy
both "XenStore hung, net_uk destroyed" loop 1 destroy 1
ppvmm inject net_uk destroy
ppvmm inject Xenstore destroy
both "net_uk, then XenStore destroyed" destroy 1 destroy 2
ppvmm inject Xenstore destroy
ppvmm inject net_uk destroy
both "XenStore, then net_uk destroyed" destroy 2 destroy 3
ppvmm inject net_uk destroy
usleep 50000 # in the middle of what is done for net_uk in XenStore
ppvmm inject Xenstore wild-rip --seed 4
both "XenStore crashed while net_uk was being built" wild-rip 3 destroy 4
ppvmm inject Xenstore destroy
ppvmm inject net_uk wild-rip --seed 5
kill_root
root_up
both "XenStore destroyed, net_uk crashed, root killed"
end_counting "both"
event "both: over"
