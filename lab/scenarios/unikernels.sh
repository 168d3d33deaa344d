for name in hello stdlib memory events grants timer tasks wx console; do
  check "$name" sh /lab/verdict.sh "$name" 1
done
# These die on purpose, and judge their death in a later life.
for name in canary guard out-of-memory vitals; do
  check "$name" sh /lab/verdict.sh "$name" 2
done
check traps sh /lab/verdict.sh traps 12
cat /tmp/*.log /tmp/*.console
