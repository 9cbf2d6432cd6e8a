#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# wc-run under fio, which verifies what it wrote: after a restart, after kill -9, and on the origin after a drain.
# bats and common.bash assign status, output; other files read JSON.
# shellcheck disable=SC2154,SC2034,SC2030,SC2031
bats_require_minimum_version 1.5.0
load common.bash
load serve.bash

# job WORD...: fio over NBD; every block of its range once, in an order that --randseed names.
job() {
  local code=0
  timeout 120 fio --name=job --ioengine=nbd --uri="$URI" --rw=randwrite --iodepth=16 --verify=crc32c --verify_fatal=1 \
    --verify_state_save=0 --output-format=terse "$@" >"$BATS_TEST_TMPDIR/fio" 2>&1 || code=$?
  [ "$code" -eq 0 ] || fail "fio $*: status $code: $(cut -c1-600 "$BATS_TEST_TMPDIR/fio")"
}

# on_origin WORD...: what fio wrote is verified on the origin itself.
on_origin() {
  run timeout 120 fio --name=job --ioengine=psync --filename="$ORIGIN" --rw=randwrite --verify=crc32c --verify_fatal=1 \
    --verify_only --verify_state_save=0 --output-format=terse "$@"
  assert_success
}

flush() {
  timeout 60 "${PYTHON[@]}" -c 'import nbd, sys; h = nbd.NBD(); h.connect_uri(sys.argv[1]); h.flush()' "$URI"
}

# survives TYPE BLOCK_SIZE IO_SIZE
survives() {
  local range=(--size=8M --bs="$3") flushed=(--offset=8M --size=3M --bs="$3" --randseed=3)
  blank_images
  serve --origin "$ORIGIN" --format --type "$1" --block-size "$2" "$CACHE"
  # The cache is smaller than what is written: it is drained, written around and overwritten all the time.
  job "${range[@]}" --randseed=1 --verify_backlog=64 --fsync=16
  job "${range[@]}" --randseed=2 --verify_backlog=64 --fsync=32
  stopped_well
  # From here on only a flush commits, or a full cache.
  serve --origin "$ORIGIN" --type "$1" --block-size "$2" --autocommit-time 3600000 --autocommit-blocks 4000000000 \
    --high-watermark 100 --low-watermark 100 "$CACHE"
  job "${range[@]}" --randseed=2 --verify_only
  # What fits into the cache is flushed, something else is being written when the server is killed.
  ctl flush
  job "${flushed[@]}" --do_verify=0
  flush
  timeout 60 fio --name=noise --ioengine=nbd --uri="$URI" --rw=randwrite --iodepth=16 --bs=4k --size=256k \
    --time_based --runtime=60 >/dev/null 2>&1 3>&- &
  local noise=$!
  sleep 1
  killed
  wait "$noise" || true
  run wc-check --origin "$ORIGIN" "$CACHE"
  assert_success
  serve --origin "$ORIGIN" --type "$1" --block-size "$2" "$CACHE"
  job "${flushed[@]}" --verify_only
  # Once more over the first half, so that all of it is known, and out of the server.
  job "${range[@]}" --randseed=4 --do_verify=0
  stopped_well
  run wc-flush --origin "$ORIGIN" "$CACHE"
  assert_success
  on_origin "${flushed[@]}"
  on_origin "${range[@]}" --randseed=4
}

setup_file() {
  command -v fio >/dev/null || skip "fio is not installed"
  fio --enghelp 2>/dev/null | grep -q nbd || skip "fio has no nbd engine"
}

@test "wc-run under fio: type s, blocks of 4096" { survives s 4096 4k; }
@test "wc-run under fio: type s, blocks of 512" { survives s 512 2k; }
@test "wc-run under fio: type p, blocks of 4096" { survives p 4096 4k; }
@test "wc-run under fio: type p, blocks of 512" { survives p 512 2k; }
