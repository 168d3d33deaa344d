#!/bin/sh
# shellcheck source=lab/scenarios/net/nic-up.sh
. /lab/nic-up.sh
check "the image is taken under care" ppvmm adopt /lab/bin/uk-nic --name nic --domid "$(xl domid nic)"
check "it answers ping from outside" outside 20 ping -c 2 -W 3 10.77.0.2
back=/local/domain/0/backend/pci/$(xl domid nic)/0
front=/local/domain/$(xl domid nic)/device/pci/0
xenstore-ls "$back" > /tmp/before; xenstore-ls "$front" >> /tmp/before
outside 60 echo-probe 10.77.0.2 7 --rate 200 --seconds 10 > /tmp/probe &
probe=$!
check "20 microreboots" ppvmm microreboot nic --times 20 --limit-ms 5000 --json /tmp/reboots
event "20 microreboots"
code=0; wait $probe || code=$?
cat /tmp/probe
check "echoes go on" test $code = 0
says_times 20 20 "serving after .* reborn, .* link up"
check "the card was found again each time" sh -c "[ \$(grep -c 'adopted' $log) -eq 20 ]"
xenstore-ls "$back" > /tmp/after; xenstore-ls "$front" >> /tmp/after
check "nothing changed in XenStore" cmp /tmp/before /tmp/after
check "its survivors are intact" sh -c "ppvmm vitals nic | grep -q '^survivors_fault: $'"
# shellcheck disable=SC2046  # several values
record ppvmm "reborn card: entry to serving" us $(sed -n 's/.*serving after \([0-9]*\) us, reborn.*/\1/p' "$log")
check "it answers ping after all" outside 20 ping -c 5 -W 3 10.77.0.2
# A last life with a card that is stuck: the new driver resets it.
order stick
check "a stuck card is reset by the next life" ppvmm microreboot nic --limit-ms 5000
check "it answers ping again" outside 20 ping -c 3 -W 3 10.77.0.2
tail -3 "$log"
