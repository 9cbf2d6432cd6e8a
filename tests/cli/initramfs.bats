#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2154,SC2034  # bats assigns and reads them
# What dist/ puts into an initramfs, without a machine to boot: boot-check in every shell it may meet, and the hooks of
# mkinitcpio with stand-ins for what mkinitcpio gives them. tests/vm/boot_check.py boots the others.
load common

setup() {
  DIST="$ROOT/dist"
  CALLS="$BATS_TEST_TMPDIR/calls"
  TAB="$BATS_TEST_TMPDIR/writecachetab"
  DEVICE="$BATS_TEST_TMPDIR/cache"
  mkdir "$BATS_TEST_TMPDIR/bin"
  touch "$CALLS" "$DEVICE"
  export WRITECACHE_TAB="$TAB" WRITECACHE_RUN="$BATS_TEST_TMPDIR/run" WRITECACHE_CMDLINE="$BATS_TEST_TMPDIR/cmdline" CALLS
  echo 'root=/dev/vda quiet' >"$WRITECACHE_CMDLINE"
  # Stands in for wc-check: its exit status and its last sentence are in files.
  program wc-check 'echo "wc-check $*" >>"$CALLS"; echo "entries: 3"; cat "$STANDIN/says"; exit "$(cat "$STANDIN/status")"'
  program sleep 'echo "sleep $*" >>"$CALLS"'
  program udevadm 'echo "udevadm $*" >>"$CALLS"'
  export STANDIN="$BATS_TEST_TMPDIR"
  answer 0 'This cache is safe to activate.'
}

# program NAME TEXT: a shell program in PATH.
program() {
  printf '#!/bin/sh\n%s\n' "$2" >"$BATS_TEST_TMPDIR/bin/$1"
  chmod +x "$BATS_TEST_TMPDIR/bin/$1"
}

answer() {
  echo "$1" >"$STANDIN/status"
  echo "$2" >"$STANDIN/says"
}

# boot_check VERB: in dash, and once more in busybox, with the same outcome; standard error is $output.
boot_check() {
  local first
  PATH="$BATS_TEST_TMPDIR/bin:$PATH" run dash "$DIST/boot/boot-check" "$@"
  first="$status $output"
  # busybox would take its own sleep before the one in PATH.
  PATH="$BATS_TEST_TMPDIR/bin:$PATH" run busybox sh "$DIST/boot/boot-check" "$@"
  assert_equal "$status $output" "$first"
}

@test "boot-check: without a table there is nothing to do" {
  boot_check check
  assert_success
  assert_output ''
  refute [ -s "$CALLS" ]
}

@test "boot-check: comments and empty lines are no caches" {
  printf '# a comment\n\n   # another\n' >"$TAB"
  boot_check check
  assert_success
  assert_output ''
}

@test "boot-check: a sound cache is one line, and wc-check was told to write nothing" {
  echo "data $DEVICE - stop,start-sector=2048,block-size=4096,superblock-only" >"$TAB"
  boot_check check
  assert_success
  assert_output 'writecache: data: This cache is safe to activate.'
  run sort -u "$CALLS"
  assert_output "wc-check --no-modify --progress=never --start-sector=2048 --block-size=4096 --superblock-only $DEVICE"
}

@test "boot-check: origin and its start are handed on; the last line needs no newline" {
  printf 'data\t%s %s origin-start-sector=8' "$DEVICE" "$DEVICE" >"$TAB"
  boot_check check
  assert_success
  run sort -u "$CALLS"
  assert_output "wc-check --no-modify --progress=never --origin-start-sector=8 --origin $DEVICE $DEVICE"
}

@test "boot-check: damage warns by default, is silent with ignore, and ends with 1 with stop" {
  answer 4 'Do not activate it.'
  echo "data $DEVICE -" >"$TAB"
  boot_check check
  assert_success
  assert_line "writecache: data: the cache $DEVICE is DAMAGED:"
  assert_line 'writecache:   Do not activate it.'
  echo "data $DEVICE - ignore" >"$TAB"
  boot_check check
  assert_success
  assert_output ''
  run cat "$WRITECACHE_RUN/data.log"
  assert_line 'Do not activate it.'
  echo "data $DEVICE - stop" >"$TAB"
  boot_check check
  assert_failure 1
  assert_line "writecache: data: the cache $DEVICE is DAMAGED:"
}

@test "boot-check: one line that stops does not keep the others from being checked" {
  answer 4 'Do not activate it.'
  printf '%s\n' "one $DEVICE - stop" "two $DEVICE - warn" >"$TAB"
  boot_check check
  assert_failure 1
  assert_line "writecache: two: the cache $DEVICE is DAMAGED:"
}

@test "boot-check: a cache that cannot be checked follows the policy too" {
  answer 8 'Input/output error'
  echo "data $DEVICE - warn" >"$TAB"
  boot_check check
  assert_success
  assert_line "writecache: data: the cache $DEVICE could not be checked (exit status 8):"
  echo "data $DEVICE - stop" >"$TAB"
  boot_check check
  assert_failure 1
}

@test "boot-check: a cache that is sound but not for this machine follows the policy" {
  answer 0 'activation: the driver refuses this cache, saying "Invalid block size"'
  echo "data $DEVICE - warn" >"$TAB"
  boot_check check
  assert_success
  assert_line "writecache: data: the cache $DEVICE cannot be activated on this machine:"
  assert_line 'writecache:   activation: the driver refuses this cache, saying "Invalid block size"'
  echo "data $DEVICE - stop" >"$TAB"
  boot_check check
  assert_failure 1
}

@test "boot-check: a missing device is waited for, once for all lines, and then only told" {
  printf '%s\n' "one /nowhere/one - stop,wait=3" 'two UUID=ab-cd - wait=4' >"$TAB"
  boot_check check
  assert_success
  assert_line 'writecache: one: /nowhere/one did not appear within 3 s (it is not checked)'
  assert_line 'writecache: two: UUID=ab-cd did not appear within 4 s (it is not checked)'
  run cat "$CALLS"
  refute_line --partial wc-check
}

@test "boot-check: a cache without its origin is checked alone" {
  echo "data $DEVICE /nowhere/origin wait=1,origin-start-sector=8" >"$TAB"
  boot_check check
  assert_success
  assert_line --partial 'the origin /nowhere/origin did not appear'
  run cat "$CALLS"
  assert_line "wc-check --no-modify --progress=never $DEVICE"
}

@test "boot-check: every broken line is told with its number and skipped, and stops where it says stop" {
  local line
  while read -r line; do
    printf '\n%s\n' "$line" >"$TAB"
    boot_check check
    assert_success
    assert_output --regexp "^writecache: $TAB:2: .* \(this line is not checked\)$"
  done <<LINES
data
data $DEVICE
data $DEVICE - warn extra
../data $DEVICE -
-data $DEVICE -
data cache -
data LVM=vg -
data LVM=vg/lv $DEVICE
data LVM=vg/lv - start-sector=8
data $DEVICE origin
data $DEVICE - panic
data $DEVICE - start-sector=
data $DEVICE - start-sector=1M
data $DEVICE - start-sector=99999999999999999999
data $DEVICE - block-size=-1
data $DEVICE - origin-start-sector=8
data $DEVICE - wait=601
data $DEVICE - wait=x
data $DEVICE - warn,ignore
LINES
  run cat "$CALLS"
  assert_output ''
  echo "data $DEVICE - stop,nonsense" >"$TAB"
  boot_check check
  assert_failure 1
}

@test "boot-check: words of the table are never run or expanded" {
  printf '%s\n' "data \$(touch $BATS_TEST_TMPDIR/ran) -" "data * -" "data /x - \`touch\`" "data $DEVICE;touch - *" >"$TAB"
  boot_check check
  assert_success
  refute [ -e "$BATS_TEST_TMPDIR/ran" ]
  assert_line --partial '`*`'
}

@test "boot-check: writecache.check=skip on the kernel command line checks nothing" {
  answer 4 'Do not activate it.'
  echo "data $DEVICE - stop" >"$TAB"
  echo 'root=/dev/vda writecache.check=skip' >"$WRITECACHE_CMDLINE"
  boot_check check
  assert_success
  assert_output --partial 'not checked'
  refute [ -s "$CALLS" ]
}

@test "boot-check: LVM=VG/LV becomes --lvm, and is waited for with lvs" {
  program lvs 'echo "lvs $*" >>"$CALLS"; [ -e "$STANDIN/lvm" ]'
  echo 'data LVM=vg/lv - wait=2' >"$TAB"
  boot_check check
  assert_success
  assert_output 'writecache: data: LVM=vg/lv did not appear within 2 s (it is not checked)'
  touch "$STANDIN/lvm"
  : >"$CALLS"
  boot_check check
  assert_success
  run sort -u "$CALLS"
  assert_line 'lvs -o lv_name vg/lv'
  assert_line 'wc-check --no-modify --progress=never --lvm vg/lv'
}

@test "boot-check: release leaves a mark and wakes what udev held back" {
  boot_check release
  assert_success
  assert [ -e "$WRITECACHE_RUN/released" ]
  run cat "$CALLS"
  assert_line 'udevadm trigger --action=add --subsystem-match=block --property-match=WRITECACHE_HELD=1'
}

@test "boot-check: anything else is a usage error" {
  boot_check
  assert_failure 16
  boot_check start
  assert_failure 16
}

# mkinitcpio is not in Debian: its functions are stand-ins that say how they were called.
stand_in_mkinitcpio() {
  local name
  for name in add_module add_binary add_file add_symlink add_runscript launch_interactive_shell; do
    eval "$name() { echo $name \"\$@\"; }"
  done
}

@test "mkinitcpio: the install hook adds the module, and the rest only where a table names a cache" {
  stand_in_mkinitcpio
  # shellcheck disable=SC1091
  source "$DIST/mkinitcpio/install/writecache"
  [ ! -e /etc/writecachetab ] || skip 'this machine has a writecachetab'
  run build
  assert_success
  assert_output 'add_module dm-writecache'
  grep() { return 0; }
  run build
  assert_success
  assert_line add_runscript
  assert_line 'add_file /etc/writecachetab'
  assert_line --regexp '^add_binary /usr(/local)?/sbin/wc-check$'
  assert_line --regexp '^add_binary /usr(/local)?/lib/writecache/boot-check /usr/lib/writecache/boot-check$'
  assert_line --regexp '^add_file .*/63-writecache.rules /usr/lib/udev/rules.d/63-writecache.rules$'
  run help
  assert_success
  assert_output --partial /etc/writecachetab
}

@test "mkinitcpio: the run hook checks, gives a shell where it has to stop, and releases" {
  local hook="$BATS_TEST_TMPDIR/hook"
  # The path inside an initramfs becomes one of this test.
  sed "s|/usr/lib/writecache/boot-check|$BATS_TEST_TMPDIR/bin/boot-check|" "$DIST/mkinitcpio/hooks/writecache" >"$hook"
  program boot-check 'echo "boot-check $*"; [ "$1" = release ] || exit "$(cat "$STANDIN/status")"'
  run dash -c "launch_interactive_shell() { echo shell; }; . '$hook'; run_hook"
  assert_success
  assert_output $'boot-check check\nboot-check release'
  answer 1 ''
  run dash -c "launch_interactive_shell() { echo shell; }; . '$hook'; run_hook"
  assert_success
  assert_line --index 0 'boot-check check'
  assert_line --index 2 shell
  assert_line --index 3 'boot-check release'
}
