#!/bin/sh
# What takes long in proportion to the tree must look like work, not like a hang: checkpoints of the backups while the
# tree grows, and the copying of everything when one of them is built anew.
# shellcheck source=lab/scenarios/root.sh
. /lab/root.sh
nodes=20000
cat > /tmp/load << END
#!/bin/sh
exec /lab/bin/ppvmm-xsload --connect /dev/xen/xenbus --base /large --nodes $nodes --value-size 60 "\$@"
END
chmod +x /tmp/load
incidents() { ppvmm history --last 0 --json - | grep -c '"cause": "'"$1"'"'; }
# shellcheck disable=SC2016  # for the inner shell
whole='[ "$(xenstore-ls -f /large | grep -c " = ")" -ge '$nodes' ]'

is "at first" set Xenstore
check "the tree is made" /tmp/load --keep
is "three members" set Xenstore
check "nobody was called hung meanwhile" test "$(incidents hang)" = 0
check "all is there" sh -c "$whole"

ppvmm inject Xenstore wild-rip --seed 1
is "primary crashed: repaired in place" incident Xenstore crash repaired
is "three members again" set Xenstore
check "all is there after the crash" sh -c "$whole"
ppvmm inject Xenstore destroy
is "primary destroyed: built anew" incident Xenstore destroyed repaired
is "three members once more" set Xenstore
check "all is there after the rebuild" sh -c "$whole"
ppvmm inject Xenstore-backup-1 destroy
is "backup destroyed: built anew and filled" incident Xenstore-backup-1 destroyed repaired
is "three members at the end" set Xenstore
check "reads of all of it are right" /tmp/load --reuse --op read --clients 4 --count 500
check "nobody was called hung all the time" test "$(incidents hang)" = 0
ppvmm history
sendfile "$root_log" root.log
event "the large store survived"
