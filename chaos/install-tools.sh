#!/bin/sh
# Tools of `npm run chaos` besides Node, on Debian and Ubuntu: strace (kills at syscalls), iproute2 (network namespaces),
# redis-server (the second queue backend).
set -eu
apt-get update
apt-get install --yes --no-install-recommends strace iproute2 redis-server
