#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# wc-run on devices that fail: full, broken, cut off. Writes and flushes fail from then on, reads go on, the status tells it,
# and nothing that was flushed is lost.
# bats and common.bash assign status, output; other files read JSON.
# shellcheck disable=SC2154,SC2034,SC2030,SC2031
bats_require_minimum_version 1.5.0
load common.bash
load serve.bash

# survivor TASK [may-not-read]
survivor() {
  run timeout 120 "${PYTHON[@]}" "$ROOT/tests/cli/nbd_survivor.py" "$URI" "$BATS_TEST_TMPDIR/state" "$@"
  assert_success
}

# has_failed: the status says so, the server goes on, and its end says that not all may be well.
has_failed() {
  [ "$(ctl status | cut -d' ' -f4)" != 0 ] || fail "no error in the status: $(ctl status)"
  kill -TERM "$SERVER"
  ended
  assert_equal "$(cat "$BATS_TEST_TMPDIR/code")" 8
  run cat "$BATS_TEST_TMPDIR/err"
  assert_output --partial "what was not flushed may be lost"
}

# all_is_there WORD...: the devices are well again.
all_is_there() {
  run wc-check --origin "$ORIGIN" "$CACHE"
  assert_success
  serve --origin "$ORIGIN" "$@" "$CACHE"
  survivor after
  ctl status | grep -q '^0 32768 writecache 0 ' || fail "$(ctl status)"
  stopped_well
  run wc-flush --origin "$ORIGIN" "$CACHE"
  assert_success
}

# small_disk SIZE: a file system of that size at $DISK.
small_disk() {
  DISK="$BATS_TEST_TMPDIR/disk"
  mkdir "$DISK"
  mount -t tmpfs -o "size=$1" wc-test "$DISK" 2>/dev/null || skip "no tmpfs can be mounted here"
  at_end "umount -l '$DISK'"
}

# mounted WORD...: what nbdkit serves with these words is the file $BROKEN, through FUSE.
mounted() {
  [ -w /dev/fuse ] || skip "/dev/fuse cannot be used here"
  command -v nbdfuse >/dev/null || skip "nbdfuse is not installed"
  BROKEN="$BATS_TEST_TMPDIR/broken.img"
  TRIGGER="$BATS_TEST_TMPDIR/trigger"
  : >"$BROKEN"
  # Not the nbdkit that brings a sanitizer along.
  nbdfuse "$BROKEN" --command /usr/bin/nbdkit -s --exit-with-parent "$@" >"$BATS_TEST_TMPDIR/nbdfuse" 2>&1 3>&- &
  at_end "umount -l '$BROKEN'"
  local turn
  for ((turn = 0; turn < 100; ++turn)); do
    [ ! -s "$BROKEN" ] || return 0
    kill -0 $! 2>/dev/null || break
    sleep 0.1
  done
  skip "nbdfuse does not work here: $(tail -n 1 "$BATS_TEST_TMPDIR/nbdfuse")"
}

# breakable FILE ERROR: $BROKEN is that file; its writes fail once $TRIGGER exists.
breakable() {
  mounted --filter=error file "$1" error="$2" error-pwrite-rate=100% error-zero-rate=100% error-trim-rate=100% \
    error-file="$BATS_TEST_TMPDIR/trigger"
}

@test "wc-run: a sparse origin on a full file system" {
  local type
  small_disk 9M
  for type in s p; do
    blank_images
    # What is there already is what the client writes first; then it wants more.
    ORIGIN="$DISK/origin.img"
    rm -f "$ORIGIN" "$DISK/filler"
    truncate -s 16M "$ORIGIN"
    serve --origin "$ORIGIN" --format --type "$type" "$CACHE"
    survivor before
    head -c 9M /dev/zero >"$DISK/filler" 2>/dev/null || true
    survivor provoke
    has_failed
    rm "$DISK/filler"
    all_is_there --type "$type"
  done
}

@test "wc-run: a sparse cache on a full file system, type s" {
  small_disk 3M
  blank_images
  CACHE="$DISK/cache.img"
  truncate -s 4M "$CACHE"
  serve --origin "$ORIGIN" --format --type s --high-watermark 100 --low-watermark 100 "$CACHE"
  survivor before
  head -c 3M /dev/zero >"$DISK/filler" 2>/dev/null || true
  survivor provoke
  has_failed
  rm "$DISK/filler"
  all_is_there --type s
}

@test "wc-run: a sparse cache on a full file system, type p" {
  small_disk 3M
  blank_images
  CACHE="$DISK/cache.img"
  truncate -s 4M "$CACHE"
  serve --origin "$ORIGIN" --format --type p --high-watermark 100 --low-watermark 100 "$CACHE"
  survivor before
  head -c 3M /dev/zero >"$DISK/filler" 2>/dev/null || true
  survivor provoke
  has_failed
  rm "$DISK/filler"
  all_is_there --type p
}

@test "wc-run: an origin that may not grow, because of a limit on the size of files" {
  local type
  for type in s p; do
    blank_images
    # Of 16 MiB the first 4 are there.
    rm "$ORIGIN"
    head -c 4M /dev/urandom >"$ORIGIN"
    truncate -s 16M "$ORIGIN"
    (
      ulimit -S -f 4096
      exec wc-run --origin "$ORIGIN" --format --type "$type" "$CACHE"
    ) >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
    SERVER=$!
    served
    survivor before
    survivor provoke
    has_failed
    all_is_there --type "$type"
  done
}

@test "wc-run: a broken origin" {
  local type error
  for type in s p; do
    error=EIO
    [ "$type" = s ] || error=ENOSPC
    blank_images
    breakable "$ORIGIN" "$error"
    serve --origin "$BROKEN" --format --type "$type" "$CACHE"
    survivor before
    : >"$TRIGGER"
    survivor provoke
    has_failed
    rm "$TRIGGER"
    umount "$BROKEN"
    all_is_there --type "$type"
  done
}

@test "wc-run: a broken cache" {
  blank_images
  breakable "$CACHE" EIO
  serve --origin "$ORIGIN" --format --type s --name cache.img "$BROKEN"
  survivor before
  : >"$TRIGGER"
  survivor provoke
  has_failed
  rm "$TRIGGER"
  umount "$BROKEN"
  all_is_there --type s
}

@test "wc-run: a cache whose flushes fail" {
  blank_images
  mounted eval get_size="stat -c %s '$CACHE'" can_write='exit 0' can_flush='exit 0' \
    pread="dd if='$CACHE' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 bs=64k status=none" \
    pwrite="dd of='$CACHE' oflag=seek_bytes seek=\$4 bs=64k conv=notrunc status=none" \
    flush="[ ! -e '$BATS_TEST_TMPDIR/trigger' ] || { echo EIO >&2; exit 1; }"
  serve --origin "$ORIGIN" --format --type s --name cache.img "$BROKEN"
  survivor before
  : >"$TRIGGER"
  survivor provoke
  has_failed
  rm "$TRIGGER"
  umount "$BROKEN"
  all_is_there --type s
}

@test "wc-run: an origin that shrinks" {
  local type
  for type in s p; do
    blank_images
    cp "$ORIGIN" "$BATS_TEST_TMPDIR/whole.img"
    serve --origin "$ORIGIN" --format --type "$type" "$CACHE"
    survivor before
    ctl flush
    # What was drained is on the origin now, and is cut off with it.
    cp "$ORIGIN" "$BATS_TEST_TMPDIR/whole.img"
    truncate -s 64K "$ORIGIN"
    run timeout 60 "${PYTHON[@]}" -c '
import nbd, sys
h = nbd.NBD()
h.connect_uri(sys.argv[1])
try:
    h.pread(4096, 15 << 20)
except nbd.Error as problem:
    assert problem.errno == "EIO", problem
else:
    raise SystemExit("read beyond the end of what is left")' "$URI"
    assert_success
    killed
    cp "$BATS_TEST_TMPDIR/whole.img" "$ORIGIN"
    all_is_there --type "$type"
  done
}

# cut_off TYPE BYTES: the cache file is cut to that size under the server, and later put back as it was.
cut_off() {
  blank_images
  serve --origin "$ORIGIN" --format --type "$1" --high-watermark 100 --low-watermark 100 "$CACHE"
  survivor before
  cp "$CACHE" "$BATS_TEST_TMPDIR/whole.img"
  truncate -s "$2" "$CACHE"
  survivor provoke may-not-read
  has_failed
  # The inode stays: somebody grew the device again and restored it.
  cp "$BATS_TEST_TMPDIR/whole.img" "$CACHE"
  all_is_there --type "$1"
}

@test "wc-run: a cache that shrinks, type s" { cut_off s 64K; }
@test "wc-run: a cache that shrinks, type p" { cut_off p 64K; }
