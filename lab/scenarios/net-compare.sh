#!/bin/sh
# seconds of each measurement
seconds=${seconds:-5}
value() { sed -n "s/.*\"$2\": \([0-9.]*\).*/\1/p" "$1" | head -1; }
cpu_of() { xl list | sed -n "s/^$1  *[0-9]* .* \([0-9.]*\)\$/\1/p"; }
# measure SYSTEM BACKEND: all loads from outside, with the processor time that the back-end took.
measure() {
  for way in send get; do
    before=$(cpu_of "$2")
    outside 60 netload $way --to 10.77.0.11:7100 --seconds "$seconds" > /tmp/$way
    after=$(cpu_of "$2")
    cat /tmp/$way
    test $way = send && name="TCP to the guest" || name="TCP from the guest"
    record "$1" "$name" Mbit/s "$(value /tmp/$way mbit_s)"
    bytes=$(value /tmp/$way bytes)
    check "$1: $name flowed" test "${bytes:-0}" -gt 100000
    record "$1" "back-end CPU, $name" s/GB "$(awk "BEGIN { print ($after - $before) / ($bytes / 1e9) }")"
  done
  outside 60 netload echo --to 10.77.0.11:7100 --seconds "$seconds" > /tmp/echo
  cat /tmp/echo
  for what in mean p95 p99; do
    record "$1" "TCP round trip, $what" us "$(value /tmp/echo ${what}_us)"
  done
  outside 60 udpseq run --to 10.77.0.11:7000 --rate 1000 --seconds "$seconds" --size 64 > /tmp/udp
  cat /tmp/udp
  record "$1" "lost of 1000 packets/s to the guest" packets "$(sed -n 's/.*"there".*"lost": \([0-9]*\).*/\1/p' /tmp/udp)"
  record "$1" "lost of 1000 packets/s from the guest" packets "$(sed -n 's/.*"back".*"lost": \([0-9]*\).*/\1/p' /tmp/udp)"
}

# Linux: dom0 drives the card, bridges it with the vif.
while read -r module; do
  grep -q "^$module " /proc/modules || insmod "/usr/lib/modules/$module.ko"
done < /etc/modules.more
ip link add lan type bridge forward_delay 0
for device in /sys/class/net/*; do
  test "$(basename "$(readlink "$device/device/driver")" 2>/dev/null)" = e1000e || continue
  ip link set "$(basename "$device")" up
  ip link set "$(basename "$device")" master lan
done
ip link set lan up
guest inside --task /lab/guest.sh --with /lab/bin/udpseq --with /lab/bin/netload \
  --extra 'vif = ["mac=00:16:3e:00:00:0b,script=/lab/vif-plain"]'
wait-for 120 xenstore-exists "/local/domain/$(xl domid inside)/data/ready"
measure linux-dom0 Domain-0
event "Linux measured"
xl destroy inside
ip link set lan down

# net_uk, with the same card.
# shellcheck source=lab/scenarios/net/net-card.sh
. /lab/net-card.sh
guest inside --task /lab/guest.sh --with /lab/bin/udpseq --with /lab/bin/netload \
  --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:0b"]'
wait-for 120 xenstore-exists "/local/domain/$(xl domid inside)/data/ready"
measure net_uk net_uk
event "net_uk measured"
xl destroy inside
cat "$log"
