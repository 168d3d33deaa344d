#!/bin/sh
# What three replicas cannot hide must be said: docs/replication.md, "Faults", and docs/operations.md, "Alarms".
# shellcheck source=lab/scenarios/root.sh
. /lab/root.sh
put() { xenstore-write "/worst/$1" "$2"; }
# At once, as far as root can tell: it is dead meanwhile, else it repairs the first before the last is hit.
at_once() {
  kill_root
  for each in Xenstore-backup-0 Xenstore-backup-1 Xenstore; do ppvmm inject "$each" "$@"; done
  begin_root
}
cat > /tmp/holds.sh << 'END'
[ "$(xenstore-read "/worst/$1")" = "$2" ]
END
is "at first: three members" set Xenstore
put kept 1

at_once wild-rip
check "all three crashed at once: nothing is lost" sh /tmp/holds.sh kept 1
is "all three crashed at once: three members again" set Xenstore

# One replica that counts wrong is outvoted by the other two ...
ppvmm inject Xenstore-backup-0 bit-flip --where digest --seed 1
put digest 1
is "one backup has another digest: it is outvoted and filled anew" told Xenstore-backup-0 corruption
is "one backup has another digest: three members again" set Xenstore
# ... but of three that all count differently nobody knows who is right.
ppvmm inject Xenstore-backup-0 bit-flip --where digest --seed 2
ppvmm inject Xenstore-backup-1 bit-flip --where digest --seed 3
put digest 2
is "all digests differ: history says so" noted Xenstore "NO MAJORITY"
check "all digests differ: clients go on" sh /tmp/holds.sh digest 2
check "what to do: one backup is rebuilt" ppvmm rebuild Xenstore-backup-0 --limit-ms 30000
check "what to do: and the other" ppvmm rebuild Xenstore-backup-1 --limit-ms 30000
put digest 3
is "what to do: three members, and they agree" set Xenstore

# With nobody to repair it, a backup that stands still is dropped as soon as its log is full. Then the others go.
kill_root
event "root is gone, and a backup stands still"
ppvmm inject Xenstore-backup-1 pause
value=$(head -c 1500 /dev/zero | tr '\0' x)
for _ in $(seq 30); do
  # shellcheck disable=SC2046  # pairs of path and value
  xenstore-write $(for j in $(seq 25); do echo "/worst/fill/$j" "$value"; done)
done
put young 1
check "one backup stands still: clients go on" sh /tmp/holds.sh young 1
ppvmm inject Xenstore destroy
ppvmm inject Xenstore-backup-0 destroy
event "primary and the other backup are destroyed; root comes back"
begin_root
is "only a dropped backup is left: its state is taken, and history says so" noted Xenstore "STALE STATE"
is "only a dropped backup is left: three members again" set Xenstore
check "only a dropped backup is left: what it had is there" sh /tmp/holds.sh kept 1

at_once destroy
is "all three destroyed: root gives up and says why" told Xenstore "ALL REPLICAS LOST"
is "all three destroyed: status says so" phase Xenstore "given up"
check "all three destroyed: root's log says so" grep -q "GIVEN UP: Xenstore" "$root_log"
(xenstore-read /worst/kept > /tmp/answer 2>&1; echo "ended" >> /tmp/answer) &
sleep 3
check "all three destroyed: nobody gets an answer out of an empty store" sh -c '! grep -q . /tmp/answer'
event "all was lost, and it was said"
