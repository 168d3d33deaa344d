#!/bin/sh
# shellcheck disable=SC2016 # expanded by the shell that runs it
# net_uk with its card is reborn in place, again and again, under a guest that talks to the outside.
# shellcheck source=lab/scenarios/net/net-card.sh
. /lab/net-card.sh
guest inside --task /lab/guest.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:0b"]'
guest=/local/domain/$(xl domid inside)
outside 20 'dd if=/dev/urandom of=file bs=1M count=1 2>/dev/null; md5sum < file > sum; httpd -h . -p 10.77.0.1:80'
check "net_uk is taken under care" ppvmm adopt /lab/bin/net_uk --name net_uk --domid "$net"
xenstore-write "$guest/data/go" 1
wait-for 120 xenstore-exists "$guest/data/ready"
event "guest up"
# The guest goes on fetching; the outside counts numbered packets both ways.
outside 120 udpseq run --to 10.77.0.11:7000 --rate 200 --seconds 20 --size 400 > /tmp/count &
counting=$!
outside 120 'end=$(($(date +%s) + 20)); good=0; while [ $(date +%s) -lt $end ]; do wget -q -O got http://10.77.0.11/file || { echo broken; break; }; test "$(md5sum < got)" = "$(wget -q -O - http://10.77.0.11/sum)" || { echo damaged; break; }; good=$((good + 1)); done; echo "$good fetched"' > /tmp/fetched &
fetching=$!
sleep 2
for each in $(seq 1 20); do
  ppvmm microreboot net_uk --json /tmp/reboot.json > /tmp/reboot.txt
  test "$each" = 1 && event "first microreboot"
  record net_uk microreboot ms "$(sed -n 's/.*"mean": *\([0-9.]*\).*/\1/p' /tmp/reboot.json | head -1)"
  usleep 500000
done
wait $counting $fetching
event "counted traffic over"
cat /tmp/reboot.txt /tmp/count /tmp/fetched
there=$(sed -n 's/.*"there".*"lost": \([0-9]*\).*/\1/p' /tmp/count)
back=$(sed -n 's/.*"back".*"lost": \([0-9]*\).*/\1/p' /tmp/count)
record net_uk "lost going out" packets "$back"
record net_uk "lost coming in" packets "$there"
record net_uk "sent twice" packets "$(sed -n 's/.*"back".*"duplicated": \([0-9]*\).*/\1/p' /tmp/count)"
record net_uk "longest silence going out" ms "$(sed -n 's/.*"back".*"longest_silence_ms": \([0-9.]*\).*/\1/p' /tmp/count)"
check "no packet that the guest sent was lost" test "$back" = 0
check "TCP went on, content right" sh -c 'grep -q "fetched" /tmp/fetched && ! grep -qE "broken|damaged" /tmp/fetched'
check "the vif stayed connected" sh -c "test \$(xenstore-read $guest/device/vif/0/state) = 4"
check "the link was never renegotiated" sh -c "! grep -q 'link down' $log"
cat "$log"
xl destroy inside
