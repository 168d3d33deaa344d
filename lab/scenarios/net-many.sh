#!/bin/sh
# Many vifs, slow ones, and some that come and go while others work.
# shellcheck source=lab/scenarios/net/obeying.sh
. /lab/obeying.sh
start_net_uk antispoof
new right 2 'vif = ["backend=net_uk,mac=00:16:3e:00:00:02"]'
new left 1 'vif = ["backend=net_uk,mac=00:16:3e:00:00:01"]'
check "they reach each other" sh /lab/in-guest.sh left 30 ping -c 3 -W 5 10.0.0.2

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
  check "vif $each is connected" wait-for 20 sh -c "test \$(grep -c 'vif$(xl domid slow).1: connected' $log) = $each"
  check "vif $each goes" xl network-detach slow 1
  # A directory that vanishes and comes back before the guest's kernel looks has never vanished for it.
  check "the guest has seen vif $each go" sh /lab/in-guest.sh slow 20 'while grep -q eth1: /proc/net/dev; do usleep 50000; done'
done
wait "$counting"
# It came through XenStore, whose tool makes one line of it.
# shellcheck disable=SC2016  # for the shell inside
check "no packet was lost meanwhile" sh -c 'cat /tmp/counted; test "$(grep -o "\"lost\": 0," /tmp/counted | wc -l)" = 2'
event "hot plug shown"

# Eight vifs of three guests.
for each in 1 2 3 4 5; do
  xl network-attach slow backend=net_uk "mac=00:16:3e:00:02:0$each"
done
check "eight vifs are connected" wait-for 20 sh -c "test \$(xenstore-ls -f | grep -c '/backend/vif/.*/state = \"4\"') = 8"
check "traffic goes on" sh /lab/in-guest.sh left 60 netload send --to 10.0.0.2:7100 --seconds 1
xenstore-write "/local/domain/$net/data/order" statistics
wait-for 10 grep -q "path: passes" "$log"
record net_uk "memory of the domain" MiB 16
event "eight vifs shown"
end_well
xl destroy slow
xl destroy left
xl destroy right
