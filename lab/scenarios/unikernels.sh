#!/bin/sh
for name in hello stdlib memory events grants timer tasks wx console contain; do
  check "$name" sh /lab/verdict.sh "$name" 1
done
# These die on purpose, and judge their death in a later life.
for name in canary guard nested-trap out-of-memory vitals; do
  check "$name" sh /lab/verdict.sh "$name" 2
done
check traps sh /lab/verdict.sh traps 12
# This one must not come back.
ppvmm start /lab/bin/uk-lost --name lost --memory 16 || true
ppvmm microreboot lost --limit-ms 5000 || true
check "corrupt survivors end in the state lost" sh -c 'ppvmm vitals lost | grep -qx "state: lost"'
ppvmm stop lost
cat /tmp/*.log /tmp/*.console
