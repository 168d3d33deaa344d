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
# The watch fires once when it is set, and only then is dom0 asked to write: a slow guest must not miss that.
xenstore-watch -n 2 data/answer > /tmp/seen &
until test -s /tmp/seen; do usleep 20000; done
xenstore-write data/listening yes
# shellcheck disable=SC2016  # for the shell inside
check "guest: its watch sees dom0's write" sh -c 'until test "$(wc -l < /tmp/seen)" = 2; do usleep 20000; done'
event "guest saw dom0's answer"
xenstore-write data/heard "$(xenstore-read data/answer)"
