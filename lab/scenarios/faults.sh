#!/bin/sh
# Each fault of `ppvmm inject`, on uk-reentry: it moves every millisecond, so standing still is seen, and it checks in
# each life that what had to survive did.
inject() { ppvmm inject victim "$@" --seed 7 --json /tmp/done.json; cat /tmp/done.json; }
field() { sed -n "s/.*\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" /tmp/done.json | head -n 1; }
victim() { name=$1; shift; check "$name" sh /lab/victim.sh "$@"; }
heal() {
  ppvmm microreboot victim --limit-ms 10000
  victim "$1: re-entered in place, it moves" moves
  victim "$1: what had to survive did" intact
}
anew() { ppvmm rebuild victim --limit-ms 10000; victim "$1: built anew, it moves" moves; }

ppvmm start /lab/bin/uk-reentry --name victim --memory 16 --limit-ms 10000
victim "the victim moves" moves

for fault in wild-rip overwrite; do
  inject $fault --when running --rehearse
  check "$fault, rehearsed: nothing was changed" test "$(field before)" = "$(field after)"
  victim "$fault, rehearsed: it moves on" moves
done

for fault in wild-rip null-rip; do
  inject $fault --when running
  victim "$fault: it dies, with the instruction pointer it was given in its record" died-at "$(sed -n '/register/,/replay/s/.*"after": "\(.*\)".*/\1/p' /tmp/done.json)"
  heal $fault
done

inject overwrite
check "overwrite: code at the instruction pointer is other code now" test "$(field before)" != "$(field after)"
victim "overwrite: it stands still" stands-still
heal overwrite

inject loop
victim "loop: it stands still" stands-still
victim "loop: it is not dead" is ready
heal loop

inject stop-vcpu
victim "stop-vcpu: it stands still" stands-still
heal stop-vcpu

inject lose-event
check "lose-event: the port whose event is gone is known" test "$(field port)" -gt 0
# Xen woke it for the event; the runtime looks at its timers on every turn, whatever woke it.
victim "lose-event: a wake-up without its event stops nothing" moves

inject pause
victim "pause: it stands still" stands-still
anew pause

for ground in code constants data bss heap stack vitals; do
  inject bit-flip --where $ground
  address=$(field address) after=$(field after)
  bit=$(sed -n '/"replay"/,/]/s/.*"\([0-7]\)".*/\1/p' /tmp/done.json)
  check "bit-flip in $ground: one bit is another" test "$(field before)" != "$after"
  case $ground in code | constants)
    # Nobody writes there: the same fault again finds what the first one left, and takes it back.
    inject bit-flip --address "$address" --bit "$bit"
    check "bit-flip in $ground: the replay finds what the first one left" test "$(field before)" = "$after" ;;
  esac
  anew "bit-flip in $ground"
done

# Lives after this one would go on with a wrong frame: each begins by comparing them with the page tables, which Xen guards.
inject bit-flip --where frames
address=$(field address) right=$(field before)
bit=$(sed -n '/"replay"/,/]/s/.*"\([0-7]\)".*/\1/p' /tmp/done.json)
inject wild-rip --when running
heal "bit-flip in frames"
inject bit-flip --address "$address" --bit "$bit"
check "bit-flip in frames: the next life has put the number right" test "$(field before)" = "$right"
anew "bit-flip in frames"

inject wild-write --where data
check "wild-write: data is other data now" test "$(field before)" != "$(field after)"
anew wild-write

inject register --register rsp --bit 40 --when running
check "register: the stack pointer is another" test "$(field before)" != "$(field after)"
victim "register: it stands still" stands-still
anew register

inject random-rip
check "random-rip: the instruction pointer was changed" test "$(field register)" = rip
anew random-rip

sleep 1000 & echo $! > /tmp/supervisor.pid
ppvmm inject victim wild-rip kill-supervisor --when running --supervisor /tmp/supervisor.pid
# shellcheck disable=SC2016  # the inner shell expands it
check "a combination: the process is gone" sh -c '! kill -0 $(cat /tmp/supervisor.pid)'
victim "a combination: the unikernel is dead" is dead
heal "a combination"

inject destroy
check "destroy: the domain is gone" wait-for 10 sh -c 'ppvmm status | grep -q "^victim .*gone"'
check "destroy: it was stamped on Xen's clock" test "$(field xen_ns)" -gt 0
anew destroy
ppvmm stop victim
event "every fault was done"
