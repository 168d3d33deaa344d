#!/bin/sh
# A guest talks to XenStore through its own kernel (/dev/xen/xenbus): reads, writes, lists, watches, and is refused
# where it must be. Dom0 answers its greeting, so both directions are seen.
greeting="hello from $(cat /proc/sys/kernel/random/uuid)"
check "guest: the kernel's XenStore device is there" test -c /dev/xen/xenbus
domid=$(xenstore-read domid)
check "guest: reads its own id" test "$domid" -gt 0
check "guest: writes where it may" xenstore-write data/greeting "$greeting"
check "guest: reads back what it wrote" sh -c "test \"\$(xenstore-read data/greeting)\" = '$greeting'"
check "guest: lists its data" sh -c 'xenstore-list data | grep -qx greeting'
check "guest: may not write elsewhere" sh -c '! xenstore-write /local/domain/0/name intruder'
check "guest: may not read what is not its own" sh -c '! xenstore-read /local/domain/0/name'
check "guest: removes what it wrote" sh -c \
  'xenstore-write data/passing 1 && xenstore-rm data/passing && ! xenstore-exists data/passing'
event "guest userland talks to XenStore"
# Fires once when it is set, then for every change: three events are the registration and dom0's two writes.
xenstore-watch -n 1 data/answer > /dev/null
xenstore-write data/listening yes
check "guest: its watch sees dom0's write" xenstore-watch -n 2 data/answer
event "guest saw dom0's answer"
xenstore-write data/heard "$(xenstore-read data/answer)"
