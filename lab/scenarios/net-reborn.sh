#!/bin/sh
# shellcheck disable=SC2016 # expanded by the shell that runs it
# net_uk with its card is reborn in place, again and again, under a guest that talks to the outside.
# shellcheck source=lab/scenarios/net/net-card.sh
. /lab/net-card.sh
start_guest
under_care
start_counting 200
sleep 2
for each in $(seq 1 20); do
  ppvmm microreboot net_uk --json /tmp/reboot.json > /tmp/reboot.txt
  test "$each" = 1 && event "first microreboot"
  record net_uk microreboot ms "$(sed -n 's/.*"mean": *\([0-9.]*\).*/\1/p' /tmp/reboot.json | head -1)"
  usleep 500000
done
cat /tmp/reboot.txt
end_counting "reborn"
event "counted traffic over"
check "the vif stayed connected" sh -c "test \$(xenstore-read $guest/device/vif/0/state) = 4"
check "the link was never renegotiated" sh -c "! grep -q 'link down' $log"
cat "$log"
xl destroy inside
