#!/bin/sh
# Starts the worker of a container: as the user `node` (1000), with the capabilities alone by which it starts each trainer as a user of its
# own. Where the container is not started as root, trainers run as the worker's user; the kernel confines them all the same.
set -eu
start() { exec "$@" node scripts/compile/run.mjs scripts/start/main.ts worker; }

[ "$(id -u)" = 0 ] || start env

# A volume that is new belongs to root. Others may pass and not look in. A server of folders may refuse both: then the worker logs it.
if [ "$(stat -c %u "$GRAFT_DATA_DIR")" = 0 ]; then
  { chmod 711 "$GRAFT_DATA_DIR" && chown 1000:1000 "$GRAFT_DATA_DIR"; } || true
fi
export HOME=/home/node USER=node
capabilities='-all,+chown,+dac_override,+kill,+setgid,+setuid'
start setpriv --reuid=1000 --regid=1000 --clear-groups --no-new-privs \
  --inh-caps="$capabilities" --ambient-caps="$capabilities"
