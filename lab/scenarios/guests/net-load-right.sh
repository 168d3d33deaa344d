#!/bin/sh
ip addr add 10.0.0.2/24 dev eth0
ip link set eth0 up
netload serve &
xenstore-write data/ready 1
