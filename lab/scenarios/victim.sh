#!/bin/sh
# victim.sh moves|stands-still|is STATE|died-at RIP|intact: what `check` asks about the unikernel "victim".
vitals() { ppvmm vitals victim --json -; }
timers() { vitals | sed -n 's/.*"timers": \([0-9]*\).*/\1/p'; }
within() { # seconds, then a command that must succeed in that time
  end=$(($(cut -d. -f1 /proc/uptime) + $1))
  shift
  until "$@"; do
    [ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ] || { vitals; exit 1; }
    usleep 20000
  done
}
moved() { [ "$(timers)" != "$before" ]; }
is() { vitals | grep -q "\"state\": \"$1\""; }
before=$(timers)
case $1 in
  moves) within 10 moved ;;
  # A time is the only way to see that nothing happens: three hundred times what it takes to move.
  stands-still) usleep 300000; ! moved ;;
  is) within 10 is "$2" ;;
  died-at) within 10 is dead; vitals | grep -q "\"rip\": \"$2\"" ;;
  intact) vitals | grep -q '"survivors_fault": ""' ;;
esac
