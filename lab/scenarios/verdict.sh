#!/bin/sh
# verdict.sh NAME LIVES: runs the test image uk-NAME, brings it back in place whenever it dies without a verdict (at
# most LIVES lives), and succeeds if the one line PPVMM-TEST {"name":...,"ok":...} on its console says ok.
uk=/lab/bin/ppvmm
name=$1 lives=$2
log=/tmp/$name.log
console=/tmp/$name.console
: > "$log"
$uk start "/lab/bin/uk-$name" --name "$name" --memory 16 --limit-ms 10000 >> "$log" 2>&1 || true
$uk console "$name" --follow > "$console" 2>&1 &
reader=$!
seconds() { cut -d. -f1 /proc/uptime; }
end=$(($(seconds) + 40))
until grep -q '^PPVMM-TEST' "$console"; do
  if $uk status | grep "^$name .*(shut down)" > /dev/null && [ "$lives" -gt 1 ]; then
    lives=$((lives - 1))
    $uk microreboot "$name" --limit-ms 10000 >> "$log" 2>&1 || true
  fi
  [ "$(seconds)" -lt "$end" ] || break
  usleep 100000
done
$uk vitals "$name" >> "$log" 2>&1 || true
$uk stop "$name" >> "$log" 2>&1 || true
wait "$reader" || true
cat "$log" "$console"
grep -q '^PPVMM-TEST .*"ok":true' "$console"
