#!/bin/sh
# What vifs can be asked for: several queues, rates, large packets, many of them, coming and going under load, and no
# addresses but their own.
log=/var/log/xen/console/guest-net_uk.log
# new NAME HOST VIF [EXTRA]
new() {
  guest "$1" --task /lab/guest.sh --with /lab/bin/netload --with /lab/bin/udpseq --extra "$3"
  xenstore-write "/local/domain/$(xl domid "$1")/data/host" "$2"
  wait-for 120 xenstore-exists "/local/domain/$(xl domid "$1")/data/ready"
}
value() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" /tmp/result | head -1; }

{ cat /lab/net_uk.cfg; echo 'extra = "antispoof"'; } > /tmp/net_uk.cfg
xl create -q /tmp/net_uk.cfg
net=$(xl domid net_uk)
check "net_uk is taken under care" ppvmm adopt /lab/bin/net_uk --name net_uk --domid "$net"
wait-for 20 sh -c "ppvmm vitals net_uk | grep -q '^state: ready'"
ppvmm vitals net_uk
ready=$(ppvmm vitals net_uk | sed -n 's/^ready_after_ms: \([0-9.]*\).*/\1/p')
check "it is ready within 300 ms" sh -c "awk 'BEGIN { exit !($ready > 0 && $ready < 300) }'"
record net_uk "entry to ready" ms "$ready"
record net_uk "image" bytes "$(wc -c < /lab/bin/net_uk)"
check "the image is at most 1 MiB" test "$(wc -c < /lab/bin/net_uk)" -le 1048576

new right 2 'vif = ["backend=net_uk,mac=00:16:3e:00:00:02"]
vcpus = 2'
check "a guest with two processors gets two queues" wait-for 10 grep -q "vif$(xl domid right).0: connected, 2 queue" "$log"
new left 1 'vif = ["backend=net_uk,mac=00:16:3e:00:00:01,ip=10.0.0.1"]
vcpus = 4'
check "one with four gets four" wait-for 10 grep -q "vif$(xl domid left).0: connected, 4 queue" "$log"
check "they reach each other" sh /lab/in-guest.sh left 30 ping -c 3 -W 5 10.0.0.2
check "TCP flows over several queues" sh /lab/in-guest.sh left 60 netload send --to 10.0.0.2:7100 --seconds 2
record net_uk "TCP stream over several queues" Mbit/s "$(value mbit_s)"
event "queues shown"

check "the left end takes 9000 bytes" sh /lab/in-guest.sh left 20 ip link set eth0 mtu 9000
check "so does the right one" sh /lab/in-guest.sh right 20 ip link set eth0 mtu 9000
check "packets of 9000 bytes pass unfragmented" sh /lab/in-guest.sh left 30 ping -c 3 -W 5 -s 8972 10.0.0.2
check "so does TCP" sh /lab/in-guest.sh left 60 netload send --to 10.0.0.2:7100 --seconds 1
record net_uk "TCP stream, MTU 9000" Mbit/s "$(value mbit_s)"
event "large packets shown"

# Spoofing: only its own IP address, only its own MAC address.
sh /lab/in-guest.sh left 20 ip addr add 10.0.0.77/24 dev eth0
if sh /lab/in-guest.sh left 30 ping -c 2 -W 2 -I 10.0.0.77 10.0.0.2; then spoofed=answered; else spoofed=silence; fi
check "another IP address gets no answer" test $spoofed = silence
sh /lab/in-guest.sh left 20 ip addr del 10.0.0.77/24 dev eth0
check "its own does" sh /lab/in-guest.sh left 30 ping -c 2 -W 3 10.0.0.2
event "spoofing shown"

# A third, slow guest.
new slow 3 'vif = ["backend=net_uk,mac=00:16:3e:00:00:03,rate=2MB/s"]'
check "the slow one sends" sh /lab/in-guest.sh slow 60 netload send --to 10.0.0.2:7100 --seconds 4
rate=$(value mbit_s)
record net_uk "TCP stream at rate=2MB/s" Mbit/s "$rate"
check "at its rate" sh -c "awk 'BEGIN { exit !($rate > 10 && $rate < 20) }'"
event "rate shown"

# Coming and going under load.
sh /lab/in-guest.sh left 60 udpseq run --to 10.0.0.2:7000 --rate 200 --seconds 12 --size 400 > /tmp/counted &
counting=$!
for each in 1 2 3 4 5; do
  check "vif $each comes" xl network-attach slow backend=net_uk "mac=00:16:3e:00:01:0$each"
  check "vif $each goes" xl network-detach slow 1
done
wait "$counting"
# shellcheck disable=SC2016  # for the shell inside
check "no packet was lost meanwhile" sh -c 'cat /tmp/counted; test "$(grep -c "\"lost\": 0\b" /tmp/counted)" = 2'
event "hot plug shown"

# Eight vifs of three guests.
for each in 1 2 3 4 5; do
  xl network-attach slow backend=net_uk "mac=00:16:3e:00:02:0$each"
done
check "eight vifs are connected" wait-for 20 sh -c "test \$(store-paths | grep -c '/backend/vif/.*/state') = 8"
check "traffic goes on" sh /lab/in-guest.sh left 60 netload send --to 10.0.0.2:7100 --seconds 1
xenstore-write "/local/domain/$net/data/order" statistics
wait-for 10 grep -q "path: passes" "$log"
record net_uk "memory of the domain" MiB 16
event "eight vifs shown"
check "net_uk lives its first life" sh -c "! grep -q 'life 2' $log"
check "nothing was made anew" sh -c "! grep -q 'made anew' $log"
cat "$log"
xl destroy slow
xl destroy left
xl destroy right
