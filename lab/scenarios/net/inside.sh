# shellcheck shell=sh
# Sourced by scenarios (as /lab/inside.sh): a guest behind net_uk that talks to the network outside, and what is lost of that.
# start_guest: returns when it has fetched a file from outside.
start_guest() {
  guest inside --task /lab/guest.sh --with /lab/bin/udpseq --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:0b"]'
  guest=/local/domain/$(xl domid inside)
  outside 20 'dd if=/dev/urandom of=file bs=1M count=1 2>/dev/null; md5sum < file > sum; httpd -h . -p 10.77.0.1:80'
  xenstore-write "$guest/data/go" 1
  wait-for 300 xenstore-exists "$guest/data/ready"
  event "guest up"
}
# start_packets RATE, end_packets: numbered ones both ways between the outside and the guest. The outside has a clock of its
# own (in virtual time), so they go on until they are ended.
start_packets() {
  outside 10 'rm -f counter'
  # shellcheck disable=SC2016 # expanded outside
  outside 3600 'echo $$ > counter; exec udpseq run --to 10.77.0.11:7000 --seconds 3600 --size 400 --rate' "$1" > /tmp/count &
  counting=$!
  wait-for 20 outside 5 'test -s counter'
}
end_packets() {
  # shellcheck disable=SC2016 # expanded outside
  outside 10 'kill "$(cat counter)"'
  wait "$counting"
  cat /tmp/count
}
counted() { sed -n "s/.*\"$1\".*\"$2\": \([0-9.]*\).*/\1/p" /tmp/count; }
# Outside, until the file `enough` is there: fetches the guest's file again and again, and says how often it was right.
cat > /tmp/fetch << 'END'
good=0
until [ -e enough ]; do
  wget -q -O got http://10.77.0.11/file || { echo broken; break; }
  test "$(md5sum < got)" = "$(wget -q -O - http://10.77.0.11/sum)" || { echo damaged; break; }
  good=$((good + 1))
done
echo "$good fetched"
END
# start_counting RATE: packets, and files over TCP.
start_counting() {
  outside 10 'rm -f enough'
  start_packets "$1"
  outside 3600 "$(cat /tmp/fetch)" > /tmp/fetched &
  fetching=$!
}
# end_counting WHAT: ends it, records, and checks that nothing that the guest sent was lost.
end_counting() {
  outside 10 'touch enough'
  end_packets
  wait "$fetching"
  cat /tmp/fetched
  record_packets "$1"
  check "$1: TCP went on, content right" sh -c 'grep -q "[1-9][0-9]* fetched" /tmp/fetched && ! grep -qE "broken|damaged" /tmp/fetched'
}
# record_packets WHAT: of those that were counted last.
record_packets() {
  record net_uk "$1: lost going out" packets "$(counted back lost)"
  record net_uk "$1: lost coming in" packets "$(counted there lost)"
  record net_uk "$1: sent twice" packets "$(counted back duplicated)"
  record net_uk "$1: longest silence going out, by the outside's clock" ms "$(counted back longest_silence_ms)"
  check "$1: no packet that the guest sent was lost" test "$(counted back lost)" = 0
}
