#!/bin/sh
# A guest that shows it is alive: it counts in its own part of XenStore, for ever.
count=0
while :; do
  count=$((count + 1))
  xenstore-write data/tick "$count" || event "tick $count was refused"
  sleep 0.2
done
