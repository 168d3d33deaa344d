#!/bin/sh
# Sourced by scenarios: gives the card at 00:10.0 to the image uk-nic, which answers as 10.77.0.2.
log=/var/log/xen/console/guest-nic.log
says() { wait-for "$1" grep -q "$2" "$log"; }
# says_times SECONDS N TEXT: until the console has N lines with TEXT.
says_times() { wait-for "$1" sh -c "[ \$(grep -c '$3' $log) -ge $2 ]"; }
order() { xenstore-write "/local/domain/$(xl domid nic)/data/order" "$1"; }

card=${card:-00:10.0}
xl pci-assignable-add "$card"
cat > /tmp/nic.cfg << END
name = "nic"
type = "pv"
kernel = "/lab/bin/uk-nic"
memory = 16
vcpus = 1
extra = "ip=10.77.0.2"
pci = ["$card"]
on_crash = "preserve"
END
xl create -q /tmp/nic.cfg
says 30 "nic: serving" || { cat "$log"; exit 1; }
event "the card serves"
