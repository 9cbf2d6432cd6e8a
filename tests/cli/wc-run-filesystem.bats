#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# A file system on wc-run: nbdfuse, a loop device, ext4; what was fsynced is there after kill -9, wc-check and fsck.
# bats and common.bash assign status, output; other files read JSON.
# shellcheck disable=SC2154,SC2034,SC2030,SC2031
bats_require_minimum_version 1.5.0
load common.bash
load serve.bash

# attach: the served device becomes $LOOP, by way of the file $DEVICE.
attach() {
  DEVICE="$BATS_TEST_TMPDIR/device"
  : >"$DEVICE"
  nbdfuse "$DEVICE" "$URI" >"$BATS_TEST_TMPDIR/nbdfuse" 2>&1 3>&- &
  at_end "umount -l '$DEVICE'"
  local turn
  for ((turn = 0; turn < 100; ++turn)); do
    [ ! -s "$DEVICE" ] || break
    kill -0 $! 2>/dev/null || break
    sleep 0.1
  done
  [ -s "$DEVICE" ] || skip "nbdfuse does not work here: $(tail -n 1 "$BATS_TEST_TMPDIR/nbdfuse")"
  LOOP=$(losetup --find --show "$DEVICE") || skip "no loop device can be set up here"
  at_end "losetup -d '$LOOP'"
}

detach() {
  losetup -d "$LOOP"
  umount "$DEVICE"
  # The kernel lets go of both a little later.
  local turn
  for ((turn = 0; turn < 100; ++turn)); do
    [ -s "$DEVICE" ] || return 0
    sleep 0.1
  done
  fail "$DEVICE is still there"
}

# write_files FOLDER COUNT SIZE: files of noise that are fsynced, their checksums in $SUMS.
write_files() {
  "${PYTHON[@]}" - "$@" >>"$SUMS" <<'PYTHON'
import hashlib, os, sys
folder, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.makedirs(folder, exist_ok=True)
for number in range(count):
    data = os.urandom(size + number * 37)
    path = f"{folder}/file{number}"
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.write(file, data)
    os.fsync(file)
    print(f"{hashlib.sha256(data).hexdigest()}  {path}")
parent = os.open(folder, os.O_RDONLY)
os.fsync(parent)
PYTHON
}

# survives TYPE
survives() {
  local server
  [ -w /dev/fuse ] || skip "/dev/fuse cannot be used here"
  [ -e /dev/loop-control ] || skip "there are no loop devices here"
  command -v nbdfuse >/dev/null || skip "nbdfuse is not installed"
  blank_images 8M
  truncate -s 64M "$ORIGIN"
  FILES="$BATS_TEST_TMPDIR/files"
  SUMS="$BATS_TEST_TMPDIR/sums"
  mkdir "$FILES"
  : >"$SUMS"
  # Only what the file system flushes is committed.
  serve --origin "$ORIGIN" --format --type "$1" --autocommit-time 3600000 --autocommit-blocks 1000000 "$CACHE"
  attach
  run mkfs.ext4 -q -F "$LOOP"
  assert_success
  mount "$LOOP" "$FILES" || skip "ext4 cannot be mounted here"
  at_end "umount -l '$FILES'"
  write_files "$FILES/first" 12 300000
  # The file system goes on writing while the server dies. What sync said is there must be.
  (
    cd /
    for ((i = 0; i < 500; i++)); do
      head -c 50000 /dev/urandom >"$FILES/late$i" && sync "$FILES/late$i" || exit 0
      sha256sum "$FILES/late$i" >>"$SUMS"
    done
  ) >/dev/null 2>&1 3>&- &
  local noise=$!
  sleep 1
  killed
  kill "$noise" 2>/dev/null || true
  wait "$noise" || true
  umount "$FILES" || umount -l "$FILES"
  detach
  grep -q late "$SUMS" || fail "nothing was synced before the server died"

  run wc-check --origin "$ORIGIN" "$CACHE"
  assert_success
  serve --origin "$ORIGIN" --type "$1" "$CACHE"
  attach
  # The journal is replayed; what is left after that must be whole.
  run e2fsck -p "$LOOP"
  [ "$status" -le 1 ] || fail "e2fsck -p: $status: $output"
  run e2fsck -f -n "$LOOP"
  assert_success
  mount "$LOOP" "$FILES"
  run sha256sum --check --quiet "$SUMS"
  assert_success
  write_files "$FILES/second" 5 100000
  umount "$FILES"
  detach
  stopped_well

  run wc-flush --origin "$ORIGIN" "$CACHE"
  assert_success
  run e2fsck -f -n "$ORIGIN"
  assert_success
  LOOP=$(losetup --find --show --read-only "$ORIGIN")
  at_end "losetup -d '$LOOP'"
  mount -o ro "$LOOP" "$FILES"
  run sha256sum --check --quiet "$SUMS"
  umount "$FILES"
  assert_success
  losetup -d "$LOOP"
}

@test "wc-run: a file system survives kill -9, type s" { survives s; }
@test "wc-run: a file system survives kill -9, type p" { survives p; }
