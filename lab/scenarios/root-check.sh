#!/bin/sh
# root-check.sh QUESTION...: what `check` asks about ppvmm-root. Each waits at most 60 s for what it asks.
#   incident UNIT CAUSE OUTCOME   the last incident of UNIT had this cause and ended so
#   repaired UNIT               the last incident of UNIT, whatever its cause, ended so
#   well UNIT                     UNIT is ready, watched and working
#   phase UNIT PHASE              root says that UNIT is in this phase
#   injected UNIT FAULT [TIMES]   so many incidents of UNIT (one) are tied to this injected fault, and ended repaired
#   alive UNIT                    the timers of UNIT run
#   noted UNIT CAUSE              some incident of UNIT, or something noted of it, has this cause
#   told UNIT TEXT                the last incident of UNIT has this in its cause or detail
#   set UNIT                      UNIT is well and works with both backups
history() { ppvmm history --json - 2>/dev/null | tr -d '\n' | sed 's/"id":/\n&/g'; }
last() { history | grep "\"unit\": \"$1\"" | grep -v '"outcome": "noted"' | tail -n 1; }
status() { ppvmm status --json - 2>/dev/null | tr -d '\n' | sed 's/{ *"name":/\n&/g' | grep "\"name\": \"$1\",  *\"domid\""; }
timers() { ppvmm vitals "$1" --json - | sed -n 's/.*"timers": \([0-9]*\).*/\1/p'; }
has() { case $1 in *"$2"*) true ;; *) false ;; esac; }
ask() {
  case $1 in
    incident) line=$(last "$2"); has "$line" "\"cause\": \"$3\"" && has "$line" "\"outcome\": \"$4\"" ;;
    repaired) has "$(last "$2")" '"outcome": "repaired"' ;;
    injected) [ "$(history | grep "\"unit\": \"$2\"" | grep "\"injected\": \"$3\"" | grep -c '"outcome": "repaired"')" -ge "${4:-1}" ] ;;
    well) line=$(status "$2"); has "$line" '"state": "ready"' && has "$line" '"phase": "watching"' && has "$line" '"health": "working"' ;;
    phase) has "$(status "$2")" "\"phase\": \"$3\"" ;;
    set) ask well "$2" && [ "$(ppvmm status | grep -c "^$2-backup-.* backup  *watching  *working")" = 2 ] ;;
    noted) has "$(history | grep "\"unit\": \"$2\"")" "\"cause\": \"$3\"" ;;
    told) has "$(last "$2")" "$3" ;;
    alive) now=$(timers "$2"); [ -n "$now" ] && [ "$now" != "$before" ] ;;
  esac
}
if [ "$1" = alive ]; then before=$(timers "$2"); fi
end=$(($(cut -d. -f1 /proc/uptime) + 60))
until ask "$@"; do
  [ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ] || { ppvmm status; ppvmm history; exit 1; }
  usleep 200000 # each question is some processes of dom0, which is what does the repairs
done
