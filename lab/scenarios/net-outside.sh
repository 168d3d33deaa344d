#!/bin/sh
# shellcheck disable=SC2016 # expanded by the shell that runs it
# shellcheck source=lab/scenarios/net/net-card.sh
. /lab/net-card.sh
guest inside --task /lab/guest.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:0b"]'
guest=/local/domain/$(xl domid inside)
# Something to be fetched, out there.
outside 20 'dd if=/dev/urandom of=file bs=1M count=4 2>/dev/null; md5sum < file > sum; httpd -h . -p 10.77.0.1:80'
xenstore-write "$guest/data/go" 1
wait-for 120 xenstore-exists "$guest/data/ready"
event "guest up"
check "outside pings the guest" outside 30 ping -c 5 -W 3 10.77.0.11
check "outside fetches a file from the guest" outside 60 'wget -q -O got http://10.77.0.11/file && wget -q -O gotsum http://10.77.0.11/sum && test "$(md5sum < got)" = "$(cat gotsum)"'
event "outside fetched from the guest"
outside 60 udpseq run --to 10.77.0.11:7000 --rate 300 --seconds 10 --size 400 > /tmp/count
cat /tmp/count
check "no numbered packet was lost" sh -c 'test $(grep -c "\"lost\": 0" /tmp/count) = 2'
wait-for 60 xenstore-exists "$guest/data/done"
xl destroy inside
cat "$log"
