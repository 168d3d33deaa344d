#!/bin/sh
# shellcheck source=lab/scenarios/net/net-card.sh
. /lab/net-card.sh
order() { xenstore-write "/local/domain/$net/data/order" "$1"; }
# after ORDER N TEXT: gives it, and waits until the log has TEXT for the Nth time.
after() { order "$1"; wait-for 20 sh -c "test \$(grep -c '$3' $log) -ge $2"; order ""; }
guest inside --task /lab/guest.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:0b"]'
guest=/local/domain/$(xl domid inside)
outside 20 'dd if=/dev/urandom of=file bs=1M count=1 2>/dev/null; md5sum < file > sum; httpd -h . -p 10.77.0.1:80'
xenstore-write "$guest/data/go" 1
wait-for 120 xenstore-exists "$guest/data/ready"
event "guest up"
outside 150 udpseq run --to 10.77.0.11:7000 --rate 100 --seconds 60 --size 400 > /tmp/count &
counting=$!
sleep 2
for each in 1 2 3 4 5; do
  after "damage driver" "$each" "wire: the driver died; driver restarted"
done
event "driver died and lives"
for each in 1 2 3; do
  after "stick device" "$each" "too long; driver restarted"
done
event "device stuck and works"
wait $counting
event "counted traffic over"
cat /tmp/count
back=$(sed -n 's/.*"back".*"lost": \([0-9]*\).*/\1/p' /tmp/count)
record net_uk "lost going out" packets "$back"
record net_uk "lost coming in" packets "$(sed -n 's/.*"there".*"lost": \([0-9]*\).*/\1/p' /tmp/count)"
record net_uk "sent twice" packets "$(sed -n 's/.*"back".*"duplicated": \([0-9]*\).*/\1/p' /tmp/count)"
sed -n 's/.*driver restarted in \([0-9]*\) us.*/\1/p' "$log" > /tmp/restarts
while read -r us; do
  record net_uk "driver restart" us "$us"
done < /tmp/restarts
order statistics
check "no packet that the guest sent was lost" test "$back" = 0
check "net_uk itself lived through it" sh -c "! grep -q 'life 2' $log"
check "the link was never renegotiated" sh -c "! grep -q 'link changes [1-9]' $log"
cat "$log"
xl destroy inside
