# shellcheck shell=sh
# Sourced by scenarios: net_uk as a driver domain with the card at 00:10.0.
log=/var/log/xen/console/guest-net_uk.log
says() { wait-for "$1" grep -q "$2" "$log"; }

card=${card:-00:10.0}
xl pci-assignable-add "$card"
cat > /tmp/net_uk.cfg << END
name = "net_uk"
type = "pv"
kernel = "/lab/bin/net_uk"
memory = 16
vcpus = 1
driver_domain = 1
tsc_mode = "native"
pci = ["$card"]
on_crash = "preserve"
${net_extra:-}
END
xl create -q /tmp/net_uk.cfg
says 30 "wire: .* link up" || { cat "$log"; exit 1; }
event "net_uk has its card"
# shellcheck disable=SC2034 # for whoever sources this
net=$(xl domid net_uk)
