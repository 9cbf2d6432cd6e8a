# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# What the cases of ublk.py share. Sourced after lib.sh, which sets `pool` and what its head says.
# shellcheck disable=SC2154
mkdir -p /mnt/fs /mnt/pmem
server=
# A case that failed leaves no device to the next one.
trap '[ -z "$server" ] || { kill -TERM $server; wait $server; } 2>/dev/null || true; umount /mnt/fs /mnt/pmem 2>/dev/null || true' EXIT
disk=/dev/ublkb0

# open_case: the origin, and a cache that suits the type: for p a file on a DAX file system in persistent memory
open_case() {
  if [ "$TYPE" = p ]; then
    slice origin "$pool" "$ORIGIN_AT" "$ORIGIN_LEN"
    mkfs.ext4 -q -F -b 4096 /dev/pmem0
    mount -t ext4 -o dax /dev/pmem0 /mnt/pmem
    CACHE=/mnt/pmem/cache.img
    fallocate -l "$CACHE_LEN" $CACHE
  else
    open_devices
    CACHE=/dev/mapper/cache
  fi
}

# close_case: what init does not undo
close_case() { if [ "$TYPE" = p ]; then umount /mnt/pmem; fi; }

# serve WORD...: wc-run in the background on the case's devices; returns when the block device is there
serve() {
  : >/tmp/ready
  wc-run --origin /dev/mapper/origin --type "$TYPE" --block-size "$BS" --name c --ublk=0 "$@" $CACHE \
    >/tmp/ready 2>/tmp/server.err &
  server=$!
  until grep -q '^ready /dev/ublkb0$' /tmp/ready; do
    kill -0 "$server" 2>/dev/null || { cat /tmp/server.err; return 1; }
    sleep 0.05
  done
  until [ -b "$disk" ]; do sleep 0.05; done
}

# stop: SIGTERM; everything is committed and the device is gone
stop() {
  kill -TERM "$server"
  wait "$server" || { cat /tmp/server.err; return 1; }
  server=
  [ ! -e "$disk" ] || { echo "$disk is still there"; return 1; }
}

# crash: kill -9
crash() {
  kill -KILL "$server"
  wait "$server" 2>/dev/null || true
  server=
}

# verify WORD...: fio that writes and then reads everything back
verify() {
  fio --name=verify --filename="$disk" --direct=1 --ioengine=libaio --verify=crc32c --verify_fatal=1 --randseed=7 \
    --verify_state_save=0 --output=/tmp/fio.out "$@" || { cat /tmp/fio.out; return 1; }
}

# content FOLDER: one line for all files in it
content() { (cd "$1" && find . -type f | sort | xargs md5sum | md5sum | cut -d ' ' -f 1); }

is_clean() { wc-check --origin /dev/mapper/origin $CACHE >/tmp/check.out || { cat /tmp/check.out; return 1; }; }

# live_blocks: committed ones on the medium
live_blocks() { wc-dump --json $CACHE | sed -n 's/^ *"live": \([0-9]*\),$/\1/p'; }

# value NUMBER: one of the 14 numbers of wc-run's status line
value() { wc-run ctl c status | awk -v at="$(($1 + 3))" '{ print $at }'; }

is_equal() { [ "$2" = "$3" ] || { echo "$1: $2 instead of $3"; return 1; }; }
