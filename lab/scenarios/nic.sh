#!/bin/sh
# The card at 00:10.0, given to an image that answers ARP, ping and UDP echo as 10.77.0.2.
log=/var/log/xen/console/guest-nic.log
says() { wait-for "$1" grep -q "$2" "$log"; }

xl pci-assignable-add 00:10.0
cat > /tmp/nic.cfg << END
name = "nic"
type = "pv"
kernel = "/lab/bin/uk-nic"
memory = 16
vcpus = 1
extra = "ip=10.77.0.2"
pci = ["00:10.0"]
on_crash = "preserve"
END
xl create -q /tmp/nic.cfg
says 30 "nic: serving" || { cat "$log"; exit 1; }
event "the card serves"
check "the link is up" grep -q "link up" "$log"
check "it answers ping from outside" outside 20 ping -c 5 -W 3 10.77.0.2
check "it echoes 1000 datagrams" outside 30 echo-probe 10.77.0.2 7 --rate 200 --seconds 5
cat "$log"
