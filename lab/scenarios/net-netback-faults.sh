#!/bin/sh
# shellcheck disable=SC2154,SC2016 # log and net come from net-card.sh; some lines are expanded outside
# Netback is damaged from outside, again and again, under a guest's traffic: it is made anew alone, the driver goes on.
# shellcheck source=lab/scenarios/net/net-card.sh
. /lab/net-card.sh
guest inside --task /lab/guest.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:0b"]'
guest=/local/domain/$(xl domid inside)
outside 20 'dd if=/dev/urandom of=file bs=1M count=1 2>/dev/null; md5sum < file > sum; httpd -h . -p 10.77.0.1:80'
xenstore-write "$guest/data/go" 1
wait-for 120 xenstore-exists "$guest/data/ready"
event "guest up"
check "net_uk is taken under care" ppvmm adopt /lab/bin/net_uk --name net_uk --domid "$net"
place=$(sed -n 's/.*netback lies at \(0x[0-9a-f]*\), .*/\1/p' "$log" | head -1)
outside 100 udpseq run --to 10.77.0.11:7000 --rate 200 --seconds 30 --size 400 > /tmp/count &
counting=$!
outside 100 'end=$(($(date +%s) + 30)); good=0; while [ $(date +%s) -lt $end ]; do wget -q -O got http://10.77.0.11/file || { echo broken; break; }; test "$(md5sum < got)" = "$(wget -q -O - http://10.77.0.11/sum)" || { echo damaged; break; }; good=$((good + 1)); done; echo "$good fetched"' > /tmp/fetched &
fetching=$!
sleep 2
rebuilt() { grep -c 'netback: .* made anew in' "$log" || true; }
# Nonsense over 8 bytes of its own memory: its first members are pointers (to the pool, to who copies) and limits; behind
# them lies the switch's table, of which most bytes are nobody's.
for each in 8 24 16 32 2000 8 24 16; do
  before=$(rebuilt)
  at=$(printf '0x%x' $((place + each)))
  ppvmm inject net_uk overwrite --address "$at" --bytes a5c3a5c3a5c35a3c
  if wait-for 3 sh -c "test \$(grep -c 'netback: .* made anew in' $log) -gt $before"; then
    event "netback made anew"
  else
    # Not every byte is one that it lives by.
    echo "damage at $at: nothing came of it"
  fi
  sleep 1
done
wait $counting $fetching
event "counted traffic over"
cat /tmp/count /tmp/fetched
back=$(sed -n 's/.*"back".*"lost": \([0-9]*\).*/\1/p' /tmp/count)
record net_uk "lost going out" packets "$back"
record net_uk "lost coming in" packets "$(sed -n 's/.*"there".*"lost": \([0-9]*\).*/\1/p' /tmp/count)"
record net_uk "sent twice" packets "$(sed -n 's/.*"back".*"duplicated": \([0-9]*\).*/\1/p' /tmp/count)"
sed -n 's/.*netback: .* made anew in \([0-9]*\) us.*/\1/p' "$log" | sort -n > /tmp/rebuilds
while read -r us; do
  record net_uk "netback made anew" us "$us"
done < /tmp/rebuilds
# The best one: what the others took more was the machine's.
check "netback is back within 5 ms" test "$(head -1 /tmp/rebuilds)" -le 5000
check "netback was made anew" test "$(rebuilt)" -ge 5
check "no packet that the guest sent was lost" test "$back" = 0
check "TCP went on, content right" sh -c 'grep -q "fetched" /tmp/fetched && ! grep -qE "broken|damaged" /tmp/fetched'
check "the driver was not touched" sh -c "! grep -q 'driver restarted' $log"
check "net_uk itself lived through it" sh -c "! grep -q 'life 2' $log"
cat "$log"
xl destroy inside
