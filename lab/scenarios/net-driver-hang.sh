#!/bin/sh
# shellcheck disable=SC2154 # log and net come from net-card.sh
# The driver's code is made to loop, from outside: the call is ended, and since a new driver hangs as well, so is the life.
# shellcheck source=lab/scenarios/net/net-card.sh
. /lab/net-card.sh
guest inside --task /lab/guest.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:0b"]'
guest=/local/domain/$(xl domid inside)
outside 20 'dd if=/dev/urandom of=file bs=1M count=1 2>/dev/null; md5sum < file > sum; httpd -h . -p 10.77.0.1:80'
xenstore-write "$guest/data/go" 1
wait-for 120 xenstore-exists "$guest/data/ready"
event "guest up"
check "net_uk is taken under care" ppvmm adopt /lab/bin/net_uk --name net_uk --domid "$net"
# A first death, of damaged memory, tells where in the driver's code it happens.
xenstore-write "/local/domain/$net/data/order" "damage driver"
outside 20 ping -c 2 -W 3 10.77.0.11
wait-for 20 grep -q "wire: the driver died; driver restarted" "$log"
rip=$(sed -n 's/.*contained fault .* rip=\(0x[0-9a-f]*\).*/\1/p' "$log" | head -1)
outside 100 udpseq run --to 10.77.0.11:7000 --rate 100 --seconds 20 --size 400 > /tmp/count &
counting=$!
wait-for 20 outside 5 ping -c 1 -W 1 10.77.0.11
check "the driver's code is made to loop" ppvmm inject net_uk overwrite --address "$rip" --bytes ebfe --json /tmp/injected
wait-for 20 sh -c "ppvmm vitals net_uk | grep -q '^state: dead'"
event "net_uk gave up"
check "a driver that hangs is ended" grep -q "contained fault kind=7" "$log"
check "and replaced" grep -q "wire: the driver hung; driver restarted" "$log"
check "twice is damaged code" grep -q "code is damaged" "$log"
ppvmm vitals net_uk --json /tmp/vitals > /dev/null
cat /tmp/injected /tmp/vitals
check "its next life has the code back" ppvmm microreboot net_uk --limit-ms 10000 --json /tmp/reboot
wait $counting || true
event "counted traffic over"
cat /tmp/count
sed -n 's/.*contained fault kind=7.* after \([0-9]*\) us.*/\1/p' "$log" > /tmp/hangs
while read -r us; do
  record net_uk "a call into the driver that hangs is ended after" us "$us"
done < /tmp/hangs
check "no packet that the guest sent was lost" test "$(sed -n 's/.*"back".*"lost": \([0-9]*\).*/\1/p' /tmp/count)" = 0
check "the guest is reached again" outside 30 ping -c 3 -W 3 10.77.0.11
xl destroy inside
cat "$log"
