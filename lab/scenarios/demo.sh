#!/bin/sh
# What the demo shows: everything that can be done to the host's XenStore, done while a guest is created and lives.
# shellcheck source=lab/scenarios/root.sh
. /lab/root.sh
# The folders /libxl and /vm are shared by all guests: libxl makes them for the first one and keeps them, empty.
paths() { store-paths | grep -vx -e /libxl -e /vm; }
paths > /tmp/before
check "tools are Debian's, the domain list is read from XenStore" xl list

# --- Twice in the middle of a creation, by the work that the store has done meanwhile
(
  ppvmm inject Xenstore wild-rip --seed 1 --after 40 --limit-ms 60000
  event "primary killed" fault
  xenstore-read -s / > /dev/null   # whoever asks now is answered by the next life
  event "primary serves again" root
  ppvmm inject Xenstore overwrite --seed 2 --after 20 --limit-ms 60000
  event "primary killed again" fault
  touch /tmp/killed-twice
) &
killer=$!
check "xl creates the guest" guest talker --task /lab/talk.sh
check "both deaths fell into the creation" test -e /tmp/killed-twice
event "guest created" xl
wait $killer
# Overwritten code dies when it is run, or is found by the scrubber before: whichever comes first.
is "root saw the damage and brought the primary back" repaired Xenstore

home=/local/domain/$(xl domid talker)
wait-for 100 xenstore-exists "$home/data/listening"
check "dom0 reads what the guest wrote" sh -c "xenstore-read $home/data/greeting | grep '^hello from '"

# --- Memory that rots
# What looks like a node may be an old copy that nobody will ever read, so it takes a flip or more until one counts.
cat > /tmp/rot.sh << 'END'
#!/bin/sh
# rot.sh UNIT SEED: flips bits until root tells of a corruption in UNIT that was not there before.
seed=$2
told() { ppvmm history --json - | tr -d '\n' | sed 's/"id":/\n&/g' | grep "\"unit\": \"$1\"" | grep -c '"cause": "corruption"'; }
before=$(told "$1")
until [ "$(told "$1")" -gt "$before" ]; do
  [ "$seed" -lt $(($2 + 40)) ] || exit 1
  ppvmm inject "$1" bit-flip --where tree --seed "$seed"
  seed=$((seed + 1))
  usleep 200000
done
END
event "backup corrupted" fault
check "flipped bits in a backup: one is found" sh /tmp/rot.sh Xenstore-backup-0 100
is "and mended" incident Xenstore-backup-0 corruption repaired
event "primary corrupted" fault
check "flipped bits in the primary: one is found before it leaves" sh /tmp/rot.sh Xenstore 200
is "and the state comes back from a backup" incident Xenstore corruption repaired

# --- The supervisor itself
kill_root
event "root killed" fault
ppvmm inject Xenstore wild-rip --seed 5
event "primary killed without root" fault
ppvmm-root --config /lab/root.toml >> /var/log/xen/ppvmm-root.log 2>&1 &   # as its systemd unit would
is "root is back, and repairs what happened meanwhile" incident Xenstore crash repaired
event "root has adopted what runs" root

# --- And nobody noticed
xenstore-write "$home/data/answer" "hello from dom0"
check "the guest heard dom0" wait-for 60 sh -c "test \"\$(xenstore-read $home/data/heard)\" = 'hello from dom0'"
check "the store's own check finds nothing" sh -c 'xenstore-control check | grep -q OK'
xl destroy talker
event "guest destroyed" xl
check "the domain is gone" sh -c '! xl list talker'
paths > /tmp/after
check "nothing of the guest is left in the tree" diff /tmp/before /tmp/after
ppvmm history

# --- The network
# shellcheck source=lab/scenarios/demo-net.sh
. /lab/demo-net.sh
