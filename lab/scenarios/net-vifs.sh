#!/bin/sh
# shellcheck disable=SC2016 # expanded by the shell that runs it
xl create -q /lab/net_uk.cfg
event "net_uk created"
guest right --task /lab/right.sh --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:02"]'
guest left --task /lab/left.sh --extra 'vif = ["backend=net_uk,mac=00:16:3e:00:00:01"]'
event "both guests created"
check "vifs are connected" wait-for 60 sh -c 'test "$(xenstore-read /local/domain/$(xl domid net_uk)/backend/vif/$(xl domid left)/0/state)" = 4'
check "the left guest is through" wait-for 120 xenstore-exists "/local/domain/$(xl domid left)/data/done"
xl destroy left
xl destroy right
check "nothing of the vifs is left" sh -c '! store-paths | grep "backend/vif/[0-9]"'
xl list
tail -30 /var/log/xen/console/guest-net_uk.log
