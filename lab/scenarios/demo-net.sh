# shellcheck shell=sh
# The demo's second act, sourced by the first: a guest serves a web page through net_uk, the card's driver in it, while
# driver, net_uk and root are killed in turn. The page is fetched from outside the machine the whole time.
# shellcheck source=lab/scenarios/net/net-root.sh
. /lab/net-root.sh
start_net net_uk 00:10.0
event "net_uk has its card" net_uk
guest web --task /lab/web.sh --with /lab/bin/udpseq --memory 96 --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:0b"]'
web=/local/domain/$(xl domid web)
wait-for 100 xenstore-exists "$web/data/ready"
check "the outside reaches the guest" wait-for 30 outside 5 'ping -c 1 -W 2 10.77.0.11'
outside 60 'web-watch http://10.77.0.11/ 10 2 web.jsonl' > /tmp/web.json &
watching=$!
outside 60 'udpseq run --to 10.77.0.11:7000 --rate 100 --seconds 9 --size 200' > /tmp/count &
counting=$!
event "a page is fetched from outside, again and again" web
sleep 1
xenstore-write "/local/domain/$(xl domid net_uk)/data/order" "damage driver"
event "driver killed" fault
is "the driver is replaced from inside" incident net_uk "driver died" repaired
event "driver replaced" net_uk
sleep 1
event "netback damaged" fault
# Nonsense over one of the pointers that its own memory begins with.
place=$(sed -n 's/.*netback lies at \(0x[0-9a-f]*\), .*/\1/p' "$log" | head -1)
ppvmm inject net_uk overwrite --address "$(printf '0x%x' $((place + 8)))" --bytes a5c3a5c3a5c35a3c
check "netback is made anew, alone" wait-for 20 grep -q 'netback: .* made anew in' "$log"
event "netback made anew" net_uk
sleep 1
event "net_uk killed" fault
ppvmm inject net_uk wild-rip --seed 1
is "net_uk crashed: entered again in place" incident net_uk crash repaired
event "net_uk goes on" net_uk
wait "$watching" || true
wait "$counting" || true
event "the outside has counted" web
cat /tmp/web.json /tmp/count
web_said() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" /tmp/web.json; }
record web "pages fetched" pages "$(web_said fetched)"
record web "longest wait for a page" ms "$(web_said longest_ms)"
record web "packets lost going out" packets "$(counted back lost)"
record web "packets lost coming in" packets "$(counted there lost)"
check "no fetch failed, every byte of every page was right" sh -c 'grep -q "\"failed\": 0, \"wrong\": 0" /tmp/web.json && ! grep -q "\"fetched\": 0," /tmp/web.json'
check "no packet that the guest sent was lost" test "$(counted back lost)" = 0
check "the guest's end stayed connected" sh -c "test \$(xenstore-read $web/device/vif/0/state) = 4"
xl destroy web
event "the web guest is destroyed" xl
