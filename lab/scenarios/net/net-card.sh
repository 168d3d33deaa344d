# shellcheck shell=sh
# Sourced by scenarios: net_uk as a driver domain with the card at 00:10.0. Needs /lab/inside.sh.
# shellcheck source=lab/scenarios/net/inside.sh
. /lab/inside.sh
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
# under_care: root's tool may harm and repair it.
under_care() { check "net_uk is taken under care" ppvmm adopt /lab/bin/net_uk --name net_uk --domid "$net"; }
# find_driver_code: a first death, of damaged memory, tells where in the driver's code it happens: $rip.
find_driver_code() {
  xenstore-write "/local/domain/$net/data/order" "damage driver"
  outside 20 ping -c 2 -W 3 10.77.0.11
  wait-for 20 grep -q "wire: the driver died; driver restarted" "$log"
  # shellcheck disable=SC2034 # for whoever sources this
  rip=$(sed -n 's/.*contained fault .* rip=\(0x[0-9a-f]*\).*/\1/p' "$log" | head -1)
}
