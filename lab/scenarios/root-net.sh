#!/bin/sh
# net_uk as one of root's units. Every repair is root's own; the scenario only does harm.
# shellcheck source=lab/scenarios/net/net-root.sh
. /lab/net-root.sh
start_net net_uk 00:10.0
event "net_uk has its card"
net=$(xl domid net_uk)
is "net_uk is supervised" well net_uk
start_guest
store-paths | grep /vif/ > /tmp/before

start_counting 100
ppvmm inject net_uk wild-rip --seed 1
is "crashed: repaired in place" incident net_uk crash repaired
ppvmm inject net_uk loop --seed 2 --when running
is "hung in a loop: root knows what was injected" injected net_uk loop
is "hung in a loop: it is well" well net_uk
ppvmm inject net_uk pause
is "paused from outside: repaired" injected net_uk pause
is "paused: it is well" well net_uk
ppvmm inject net_uk stop-vcpu
is "vCPU stopped: repaired" injected net_uk stop-vcpu
is "vCPU stopped: it is well" well net_uk
check "repaired on request" ppvmm microreboot net_uk --times 3 --limit-ms 20000
end_counting "in place"
event "in place: over"
check "it is still its first domain" sh -c "! ppvmm history --json - | grep -q '\"what\": \"rebuild\"'"

# A guest that has died, and that libxl has not cleared up after.
xenstore-write /libxl/99/device/vif/0/backend "/local/domain/$net/backend/vif/99/0"
start_counting 100
ppvmm inject net_uk destroy
is "destroyed: built anew under its id" incident net_uk destroyed repaired
is "destroyed: it is well" well net_uk
says 20 "taken over"
sleep 1
check "nothing is made for a guest that is not there" sh -c "! xenstore-exists /local/domain/99"
xenstore-rm /libxl/99
xenstore-rm "/local/domain/$net/backend/vif/99"
xl destroy net_uk || true # root may be quicker than it
sleep 1
is "xl destroy: it is well" well net_uk
check "rebuilt on request" ppvmm rebuild net_uk --limit-ms 30000
is "rebuilt on request: it is well" well net_uk
end_counting "built anew"
event "built anew: over"
check "it has its domain id" test "$(xl domid net_uk)" = "$net"

start_counting 100
kill_root
ppvmm inject net_uk wild-rip --seed 3
root_up
is "root killed, then net_uk crashed: the next root repairs it" well net_uk
kill_root
ppvmm inject net_uk destroy
root_up
is "root killed, then net_uk destroyed: the next root builds it anew" well net_uk
for round in 1 2 3; do
  ppvmm inject net_uk destroy > /dev/null || true
  usleep $((round * 60000))
  kill_root
  root_up
  is "round $round of killing root while it builds: net_uk is well" well net_uk
done
end_counting "root killed"
event "root killed: over"

store-paths | grep /vif/ > /tmp/after
check "XenStore says about the vif what it said before" diff /tmp/before /tmp/after
check "the guest's end stayed connected" sh -c "test \$(xenstore-read $guest/device/vif/0/state) = 4"
check "status shows it" sh -c 'ppvmm status | grep -q "^net_uk .* ready .* fg"'
check "metrics show it" sh -c 'wget -q -O - http://127.0.0.1:9476/metrics | grep -q "ppvmm_unit_up.*net_uk.* 1"'
xl destroy inside
check "it stops when it is told to" ppvmm stop net_uk --limit-ms 20000
check "nothing of it is left" sh -c "! store-paths | grep -q '^/local/domain/$net\|/pci/$net'"
