#!/bin/sh
# Root supervises two test unikernels. uk-reentry moves every millisecond and checks in each life that what had to
# survive did.
state=/run/ppvmm
# shellcheck source=lab/scenarios/root.sh
. /lab/root.sh
root_config=/tmp/root.toml
refuses() { # NAME, what the message must hold, command: it fails, with that one line
  what=$1 text=$2; shift 2
  if "$@" > /tmp/refused 2>&1; then false; else true; fi
  check "$what" grep -q -- "$text" /tmp/refused
}

# Configuration.
printf 'pace_ms = 1\n\n[policy.fg]\nsilense_ms = 5\n' > /tmp/wrong.toml
refuses "a wrong key is refused with file, line and what was expected" \
  '/tmp/wrong.toml:4: unknown key "silense_ms".*expected one of' ppvmm-root --config /tmp/wrong.toml
printf '[policy.often]\nbase = "xoar"\nrefresh_ms = 400\n[policy.never]\nmicroreboots = 0\nrebuilds = 1\nwindow_s = 60\n[unit.fresh]\npolicy = "often"\n[unit.hopeless]\npolicy = "never"\n' > /tmp/root.toml
check "a sound one is accepted" ppvmm-root --config /tmp/root.toml --check
refuses "without a daemon, history says so" 'does ppvmm-root run' ppvmm history

root_up
refuses "there is one daemon for a state directory" 'another ppvmm-root' ppvmm-root --state-dir $state
ppvmm start /lab/bin/uk-reentry --name a --memory 16 --limit-ms 20000
ppvmm start /lab/bin/uk-reentry --name b --memory 16 --limit-ms 20000
is "a is supervised" well a
is "b is supervised" well b

# Faults of every kind.
ppvmm inject a wild-rip --seed 1
is "crash: seen and repaired" incident a crash repaired
is "crash: history knows what was injected" injected a wild-rip
is "crash: it runs" alive a
ppvmm inject a loop --seed 2
is "hang: history knows what was injected" injected a loop
is "hang: it runs" alive a
ppvmm inject b pause
is "paused from outside: seen and repaired" injected b pause
is "paused from outside: it runs" alive b
ppvmm inject b stop-vcpu
is "vCPU stopped: history knows what was injected" injected b stop-vcpu
is "vCPU stopped: it runs" alive b
ppvmm inject b destroy
is "destroyed: seen and repaired" incident b destroyed repaired
is "destroyed: built anew under its id" alive b
ppvmm inject a bit-flip --where constants --seed 3
is "corruption while idle: found by comparing pages" incident a corruption repaired
is "corruption while idle: it runs" alive a
# shellcheck disable=SC2154 # from the scenario
ppvmm inject a overwrite --address "$vitals" --bytes a5c3a5c3a5c35a3c
is "the head of the vitals page is overwritten: restored" noted a "vitals restored"
ppvmm inject a wild-rip --seed 4
is "and a crash is seen as ever" incident a crash repaired
is "and it runs" alive a
check "survivors are as they were" sh -c "ppvmm vitals a | grep -qx 'survivors_fault: '"

# Repairs by hand go through the daemon.
check "microreboot on request" ppvmm microreboot a --times 5 --limit-ms 20000
check "rebuild on request" ppvmm rebuild b --limit-ms 20000
is "b runs" alive b

# Root itself.
root=$(cat $state/root.pid)
lives=$(ppvmm vitals a | sed -n 's/^incarnation: //p')
kill -9 "$root"
is "root is dead: a runs on" alive a
refuses "status says that nobody watches" 'nothing is watched' sh -c 'ppvmm status; exit 1'
check "root is dead: a lives on in the same life" test "$(ppvmm vitals a | sed -n 's/^incarnation: //p')" = "$lives"
ppvmm inject b destroy
root_up
is "adopted: a, as it was" well a
check "adopted: a still lives in the same life" test "$(ppvmm vitals a | sed -n 's/^incarnation: //p')" = "$lives"
is "adopted: b, whose domain was destroyed meanwhile, is built anew" alive b
is "the history goes on" incident b destroyed repaired
# Killed in the middle of repairs, again and again.
for round in 1 2 3 4 5 6; do
  ppvmm inject a destroy > /dev/null || true
  ppvmm inject b wild-rip > /dev/null || true
  usleep $((round * 4000))
  kill_root
  root_up
  is "round $round of killing root in the middle: a is well" well a
  is "round $round of killing root in the middle: b is well" well b
done

# Policies.
ppvmm start /lab/bin/uk-reentry --name fresh --memory 16 --limit-ms 20000
lives=$(ppvmm vitals fresh | sed -n 's/^incarnation: //p')
is "policy xoar: refreshed by the clock" incident fresh refresh repaired
check "policy xoar: it has lived more than once" test "$(ppvmm vitals fresh | sed -n 's/^incarnation: //p')" -gt "$lives"
ppvmm stop fresh --limit-ms 20000
ppvmm start /lab/bin/uk-reentry --name hopeless --memory 16 --limit-ms 20000
ppvmm inject hopeless destroy
is "a first rebuild is within its limits" alive hopeless
ppvmm inject hopeless destroy
is "the second is not: given up" phase hopeless "given up"
is "given up: loudly" incident hopeless destroyed stopped
check "given up: in the log" grep -q 'GIVEN UP: hopeless' "$root_log"
check "given up: an operator can have it built again" ppvmm rebuild hopeless --limit-ms 20000
is "and it runs" alive hopeless

check "metrics are served on loopback" sh -c 'wget -q -O - http://127.0.0.1:9476/metrics | grep -q "^ppvmm_unit_up.*a.* 1"'
for name in a b hopeless; do ppvmm stop $name --limit-ms 20000; done
# shellcheck disable=SC2016  # for the inner shell
check "stopped unikernels are left alone" sh -c '! ppvmm status | grep -q reentry && test "$(ppvmm status | wc -l)" = 1'

numbers() { # every time from the first to the second, in ms, for incidents that match
  ppvmm history --json - | tr -d '\n' | sed 's/"id":/\n&/g' | grep "$3" \
    | sed -n "s/.*\"$1\": \([0-9]*\),.*\"$2\": \([0-9]*\),.*/\1 \2/p" | awk '$1 > 0 && $2 > $1 { print ($2 - $1) / 1e6 }'
}
# shellcheck disable=SC2046  # a list of numbers
record ppvmm "crash: from the fault record until seen" ms $(numbers fault_ns seen_ns '"cause": "crash"')
# shellcheck disable=SC2046  # a list of numbers
record ppvmm "in place: from seen until ready" ms $(numbers seen_ns repaired_ns '"what": "microreboot"')
# shellcheck disable=SC2046  # a list of numbers
record ppvmm "same id: from seen until ready" ms $(numbers seen_ns repaired_ns '"what": "rebuild"')
ppvmm history
sendfile "$root_log" root.log
event "root was put to the test"
