#!/bin/sh
# in-guest NAME SECONDS COMMAND...: has a guest carry out a command (guests/net-features.sh). Its output is printed and left
# in /tmp/result, its exit code is ours; 124 when the guest does not answer in time. Orders are numbered by a file.
path=/local/domain/$(xl domid "$1")/data
limit=$2
shift 2
echo >> /tmp/orders
number=$(wc -l < /tmp/orders)
xenstore-write "$path/order" "$number $*"
wait-for "$limit" sh -c "xenstore-read $path/done | grep -q '^$number '" || exit 124
xenstore-read "$path/result" | tee /tmp/result
code=$(xenstore-read "$path/done")
exit "${code#* }"
