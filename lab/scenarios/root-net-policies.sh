#!/bin/sh
# The same faults under each policy. What differs is who repairs, and what it costs.
# shellcheck source=lab/scenarios/net/net-root.sh
. /lab/net-root.sh
# under TEXT...: root goes on with this configuration.
under() {
  printf '%b' "$1" > /lab/root.toml
  kill_root
  root_up
  is "root goes on" well net_uk
}
start_net net_uk 00:10.0
event "net_uk has its card"
guest inside --task /lab/guest.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:0b"]'
guest=/local/domain/$(xl domid inside)
wait-for 300 xenstore-exists "$guest/data/ready"
event "guest up"

order() { xenstore-write "/local/domain/$(xl domid net_uk)/data/order" "$1"; }
start_counting 100
order "damage driver"
is "fg: the driver is replaced from inside" incident net_uk "driver died" repaired
order ""
check "fg: root restarts the driver on request" ppvmm net order net_uk repair-driver
is "fg: and sees it" incident net_uk "driver ordered" repaired
check "fg: net_uk is in its first life" sh -c "ppvmm vitals net_uk | grep -q '^incarnation: 1$'"
check "fg: status tells of the parts" sh -c 'ppvmm status | grep -q "net_uk: repaired from inside: driver 2"'
check "fg: metrics too" sh -c 'wget -q -O - http://127.0.0.1:9476/metrics | grep -q "ppvmm_part_repairs.*driver.*net_uk.* 2\|ppvmm_part_repairs.*net_uk.*driver.* 2"'
end_counting "fg"
event "fg: over"

under '[unit.net_uk]\npolicy = "cg"\n'
start_counting 100
order "damage driver"
is "cg: the whole is entered again" incident net_uk crash repaired
order ""
is "cg: it is well" well net_uk
check "cg: net_uk is in its second life" sh -c "ppvmm vitals net_uk | grep -q '^incarnation: 2$'"
end_counting "cg"
event "cg: over"

under '[policy.xoar]\nrefresh_ms = 2000\n[unit.net_uk]\npolicy = "xoar"\n'
ppvmm inject net_uk loop --seed 2
is "xoar: repaired when its time comes, not before" incident net_uk refresh repaired
lives=$(ppvmm vitals net_uk | sed -n 's/^incarnation: //p')
wait-for 20 sh -c "test \$(ppvmm vitals net_uk | sed -n 's/^incarnation: //p') -gt $lives"
check "xoar: nothing was detected" sh -c '! ppvmm history --last 2 | grep -qE " (hang|crash) "'
event "xoar: over"

under '[policy.tfd]\nspare = "net_spare"\n[unit.net_uk]\npolicy = "tfd"\n'
start_net net_spare 00:11.0
is "tfd: the spare is ready" well net_spare
check "tfd: it has the policy that names it" sh -c 'ppvmm status | grep -q "^net_spare .* tfd"'
start_packets 100
sleep 3
spare=$(xl domid net_spare)
ppvmm inject net_uk wild-rip --seed 3
is "tfd: the failed one is built anew, to be the next spare" incident net_uk crash repaired
check "tfd: the guest's vif is with the spare" wait-for 20 sh -c "xenstore-ls -f $guest/device/vif | grep -q 'backend-id = \"$spare\"'"
check "tfd: and connected" wait-for 20 sh -c "xenstore-ls -f $guest/device/vif | grep -q 'state = \"4\"'"
check "tfd: the outside reaches the guest through the spare" wait-for 30 outside 5 'ping -c 1 -W 2 10.77.0.11'
sleep 2
end_packets
record tfd "lost going out" packets "$(counted back lost)"
record tfd "lost coming in" packets "$(counted there lost)"
record tfd "longest silence going out, by the outside's clock" ms "$(counted back longest_silence_ms)"
check "tfd: packets came" test "$(counted back received)" -gt 100
ppvmm inject net_spare wild-rip --seed 4
check "tfd: back again when the other one fails" wait-for 60 sh -c "xenstore-ls -f $guest/device/vif | grep -q 'backend-id = \"$(xl domid net_uk)\"'"
check "tfd: the outside reaches the guest" wait-for 30 outside 5 'ping -c 1 -W 2 10.77.0.11'
event "tfd: over"
ppvmm status
