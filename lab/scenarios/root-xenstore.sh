#!/bin/sh
# Faults in the three replicas of the host's XenStore while dom0 writes into it all the time. Each write that was
# acknowledged must be there at the end.
# shellcheck source=lab/scenarios/root.sh
. /lab/root.sh
all_well() {
  check "$1: three members, and nothing that was acknowledged is lost" sh /tmp/verify.sh
}
cat > /tmp/writer.sh << 'END'
#!/bin/sh
# Writes one node after the other, and notes each that was acknowledged.
i=0
while [ ! -e /tmp/stop-writing ]; do
  i=$((i + 1))
  xenstore-write "/root-test/$((i % 20))" "$i" && echo "$((i % 20)) $i" >> /tmp/acknowledged
  usleep 100000
done
END
cat > /tmp/verify.sh << 'END'
#!/bin/sh
# The last acknowledged value of each node, or a later one whose acknowledgement is still under way.
sh /lab/root-check.sh set Xenstore || exit 1
awk '{ last[$1] = $2 } END { for (n in last) print n, last[n] }' /tmp/acknowledged > /tmp/expected
xenstore-ls -f /root-test | sed -n 's/^.root-test.\([0-9]*\) = "\([0-9]*\)"$/\1 \2/p' > /tmp/found
awk 'NR == FNR { found[$1] = $2; next } !($1 in found) || found[$1] < $2 { print "node", $1, "holds", found[$1], "instead of", $2; bad = 1 } END { exit bad }' \
  /tmp/found /tmp/expected
END
check "xl list shows all three" sh -c 'xl list | grep "^Xenstore " && xl list | grep "^Xenstore-backup-0 " && xl list | grep "^Xenstore-backup-1 "'
sh /tmp/writer.sh &
writer=$!
wait-for 20 test -s /tmp/acknowledged
all_well "at first"

ppvmm inject Xenstore wild-rip --seed 1
is "primary crashed: repaired in place" incident Xenstore crash repaired
all_well "primary crashed"
ppvmm inject Xenstore loop --seed 2
is "primary hung: history knows what was injected" injected Xenstore loop
all_well "primary hung"
ppvmm inject Xenstore destroy
is "primary destroyed: built anew under its id" incident Xenstore destroyed repaired
all_well "primary destroyed"
ppvmm inject Xenstore-backup-0 wild-rip --seed 3
is "backup crashed: repaired" incident Xenstore-backup-0 crash repaired
all_well "backup crashed"
ppvmm inject Xenstore-backup-1 destroy
is "backup destroyed: built anew and filled" incident Xenstore-backup-1 destroyed repaired
all_well "backup destroyed"
check "a backup is rebuilt on request" ppvmm rebuild Xenstore-backup-0 --limit-ms 30000
all_well "backup rebuilt on request"

kill_root
ppvmm inject Xenstore wild-rip --seed 4
begin_root
is "root killed, then the primary crashed: the next root repairs it" incident Xenstore crash repaired
all_well "root killed and back"
ppvmm inject Xenstore destroy
ppvmm inject Xenstore-backup-1 destroy
is "primary and a backup destroyed: the primary" incident Xenstore destroyed repaired
is "primary and a backup destroyed: the backup" incident Xenstore-backup-1 destroyed repaired
all_well "primary and a backup destroyed"

touch /tmp/stop-writing
wait $writer
# shellcheck disable=SC2016  # for the inner shell
check "the writer was never refused" sh -c 'test "$(wc -l < /tmp/acknowledged)" = "$(tail -n 1 /tmp/acknowledged | cut -d" " -f2)"'
numbers() {
  ppvmm history --json - | tr -d '\n' | sed 's/"id":/\n&/g' | grep "$3" \
    | sed -n "s/.*\"$1\": \([0-9]*\),.*\"$2\": \([0-9]*\),.*/\1 \2/p" | awk '$1 > 0 && $2 > $1 { print ($2 - $1) / 1e6 }'
}
# shellcheck disable=SC2046  # a list of numbers
record ppvmm "primary crash: from the fault record until seen" ms $(numbers fault_ns seen_ns '"unit": "Xenstore",.*"cause": "crash"')
# shellcheck disable=SC2046  # a list of numbers
record ppvmm "primary crash: from seen until serving" ms $(numbers seen_ns serving_ns '"unit": "Xenstore",.*"cause": "crash"')
# shellcheck disable=SC2046  # a list of numbers
record ppvmm "primary destroyed: from seen until serving" ms $(numbers seen_ns serving_ns '"unit": "Xenstore",.*"cause": "destroyed"')
ppvmm history
ppvmm status --json -
sendfile "$root_log" root.log
event "the store survived everything"
