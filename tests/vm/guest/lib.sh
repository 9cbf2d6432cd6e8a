# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# What a case may call. Sourced by every case, after the case has set:
#   TYPE BS START             type, block size and start_sector of the table line
#   CACHE_AT CACHE_LEN        where the cache image lies in the pool disk, in bytes
#   ORIGIN_AT ORIGIN_LEN      the same for the origin
#   SNAP_AT SNAP_ORIGIN_AT MERGED_AT AFTER_AT   where a case leaves its results
# A case speaks to the host in lines KEY=VALUE.

pool=/dev/vda
# The driver then does nothing that a case did not ask for.
# shellcheck disable=SC2034
quiet_options='high_watermark 100 low_watermark 100 autocommit_time 3600000 autocommit_blocks 1000000'

say() { echo "$1=$2"; }

# skip REASON: this machine cannot run the case
skip() {
  say skip "$1"
  exit 0
}

# field NUMBER: one of the 14 numbers of the status line
field() { dmsetup status wc | awk -v at="$(($1 + 3))" '{ print $at }'; }

# until_field NUMBER TEST VALUE: waits until the number compares so; the limit is that of the case
until_field() {
  until test "$(field "$1")" "$2" "$3"; do sleep 0.05; done
}

# slice NAME DEVICE OFFSET LENGTH (bytes): a device of exactly that area
slice() { dmsetup create "$1" --table "0 $(($4 / 512)) linear $2 $(($3 / 512))"; }

# The cache and origin of the case. A type p cache is copied into persistent memory first.
open_devices() {
  if [ "$TYPE" = p ]; then
    vmio copy "$pool" "$CACHE_AT" /dev/pmem0 0 "$CACHE_LEN"
    slice cache /dev/pmem0 0 "$CACHE_LEN"
  else
    slice cache "$pool" "$CACHE_AT" "$CACHE_LEN"
  fi
  slice origin "$pool" "$ORIGIN_AT" "$ORIGIN_LEN"
}

# The table's length: device-mapper refuses one that is not whole blocks, so the tail of an odd origin is never cached.
table_bytes() { echo $((ORIGIN_LEN / BS * BS)); }

# The number of words it is given.
count_words() { echo $#; }

# table_line OPTIONAL...: the table line of the case
table_line() {
  options=$*
  [ "$START" = 0 ] || options="start_sector $START $options"
  # shellcheck disable=SC2086
  echo "0 $(($(table_bytes) / 512)) writecache $TYPE ${ORIGIN_DEVICE:-/dev/mapper/origin} /dev/mapper/cache" \
    "$BS $(count_words $options) $options"
}

kernel_lines() { dmesg | sed -n "s/^.*device-mapper: /$1.dmesg=/p"; }

# activate LABEL OPTIONAL...: loads and resumes, and says what came of it; does not fail when the driver refuses
activate() {
  label=$1
  shift
  dmesg -c >/dev/null
  if dmsetup create wc --table "$(table_line "$@")" >/tmp/error 2>&1; then
    say "$label.load" 0
    report_status "$label"
  else
    say "$label.load" "$(grep -v 'Command failed' /tmp/error | head -n 1)"
  fi
  kernel_lines "$label"
}

report_status() { say "$1.status" "$(dmsetup status wc)"; }

is_active() { [ -e /dev/mapper/wc ]; }

close_cache() { dmsetup remove wc; }

# What a power cut would leave now. The cache goes first: what it still held is at worst already on the origin too.
snapshot() {
  vmio copy /dev/mapper/cache 0 "$pool" "$SNAP_AT" "$CACHE_LEN"
  vmio copy /dev/mapper/origin 0 "$pool" "$SNAP_ORIGIN_AT" "$ORIGIN_LEN"
}

# Puts the snapshot back onto the devices.
rewind() {
  vmio copy "$pool" "$SNAP_AT" /dev/mapper/cache 0 "$CACHE_LEN"
  vmio copy "$pool" "$SNAP_ORIGIN_AT" /dev/mapper/origin 0 "$ORIGIN_LEN"
}

# merged LABEL: every block as a reader of the active device sees it. One block a read for type p (driver trap).
merged() {
  if [ "$TYPE" = p ]; then chunk=$BS; else chunk=65536; fi
  if vmio copy /dev/mapper/wc 0 "$pool" "$MERGED_AT" "$(table_bytes)" "$chunk" 2>/tmp/error; then
    say "$1.merged" 0
  else
    say "$1.merged" "$(cat /tmp/error)"
  fi
}

# The cache device as it is now, for the host.
save_after() { vmio copy /dev/mapper/cache 0 "$pool" "$AFTER_AT" "$CACHE_LEN"; }
save_origin() { vmio copy /dev/mapper/origin 0 "$pool" "$SNAP_ORIGIN_AT" "$ORIGIN_LEN"; }

# try LABEL COMMAND...: runs it and says whether it worked
try() {
  label=$1
  shift
  if "$@" >/tmp/error 2>&1; then say "$label" 0; else say "$label" "$(head -n 1 /tmp/error)"; fi
}

# open_tools MODULE...: the programs and modules of the second disk (tools_disk.py)
open_tools() {
  if [ ! -d /tools/bin ]; then
    mkdir -p /tools
    mount -t ext4 -o ro /dev/vdb /tools
  fi
  export PATH="/tools/bin:$PATH" LD_LIBRARY_PATH=/tools/lib.all
  for module in "$@"; do
    if [ -e "/tools/modules/$module.ko" ] && ! grep -q "^$module " /proc/modules; then insmod "/tools/modules/$module.ko"; fi
  done
}
