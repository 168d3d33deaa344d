# shellcheck shell=sh
# Sourced by scenarios (as /lab/obeying.sh): net_uk without a card, between guests that do what dom0 says (in-guest.sh).
log=/var/log/xen/console/guest-net_uk.log
# new NAME HOST VIF [EXTRA]
new() {
  guest "$1" --task /lab/guest.sh --with /lab/bin/netload --with /lab/bin/udpseq --extra "$3"
  xenstore-write "/local/domain/$(xl domid "$1")/data/host" "$2"
  wait-for 120 xenstore-exists "/local/domain/$(xl domid "$1")/data/ready"
}
value() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" /tmp/result | head -1; }
# start_net_uk [EXTRA]: built by xl, under root's care.
start_net_uk() {
  # However it ends: what is in XenStore of vifs, and what net_uk said.
  trap 'xenstore-ls -f | grep /vif/ || :; cat "$log"' EXIT
  { cat /lab/net_uk.cfg; echo "extra = \"$1\""; } > /tmp/net_uk.cfg
  xl create -q /tmp/net_uk.cfg
  net=$(xl domid net_uk)
  check "net_uk is taken under care" ppvmm adopt /lab/bin/net_uk --name net_uk --domid "$net"
  wait-for 20 sh -c "ppvmm vitals net_uk | grep -q '^state: ready'"
}
# end_well: nothing had to be repaired.
end_well() {
  check "net_uk lives its first life" sh -c "! grep -q 'life 2' $log"
  check "nothing was made anew" sh -c "! grep -q 'made anew' $log"
}
