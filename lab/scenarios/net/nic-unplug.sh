#!/bin/sh
# shellcheck source=lab/scenarios/net/nic-up.sh
. /lab/nic-up.sh
check "it answers ping from outside" outside 20 ping -c 2 -W 3 10.77.0.2
xl pci-list nic
check "xl detaches the card" xl pci-detach nic 00:10.0
says 20 "nic: card removed"
check "nothing is left assigned" sh -c '! xl pci-list nic | grep -q 10.0'
check "nobody answers any more" sh -c '! outside 10 ping -c 2 -W 1 10.77.0.2'
check "xl attaches it again" xl pci-attach nic 00:10.0
says 20 "nic: card added"
says 20 "nic: serving again"
check "it answers ping again" outside 20 ping -c 3 -W 3 10.77.0.2
cat "$log"
