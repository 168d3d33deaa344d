#!/bin/sh
# What a vif can be asked for: several queues, large packets, no addresses but its own.
# shellcheck source=lab/scenarios/net/obeying.sh
. /lab/obeying.sh
start_net_uk antispoof
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
end_well
xl destroy left
xl destroy right
