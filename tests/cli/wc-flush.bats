#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# wc-flush on real images: the origin's content afterwards, its refusals, its counters, signals.
# bats and common.bash assign status, output, stderr, lines, stderr_text; other files read JSON.
# shellcheck disable=SC2154,SC2034,SC2030,SC2031
bats_require_minimum_version 1.5.0
load common.bash

flush() {
  timeout -k 5 60 wc-flush --origin "$ORIGIN" "$@"
}

# expect_merged [--uncommitted]: $BATS_TEST_TMPDIR/merged is what the origin has to hold.
expect_merged() {
  "${PYTHON[@]}" "$RECIPES" --merged "$CACHE" "$ORIGIN" "$BATS_TEST_TMPDIR/merged" "$@"
}

is_merged() {
  cmp "$BATS_TEST_TMPDIR/merged" "$ORIGIN" || fail "the origin is not the merged content"
}

# counts of live, stale, uncommitted and free entries
counts() {
  run_json wc-check --json "$CACHE"
  json '"{live} {stale} {uncommitted} {free}".format(**j["counts"])'
}

@test "wc-flush: the origin holds the merged content, the cache is empty" {
  local recipe
  for recipe in clean uncommitted stale spare-room pad-not-zero empty; do
    make_images "$recipe"
    expect_merged
    run_json flush --json "$CACHE"
    assert_equal "$recipe $status $stderr_text" "$recipe 0 "
    assert_schema wc-flush "$JSON"
    assert_equal "$(json 'j["blocks_total"] == j["blocks_written"] and j["blocks_failed"] == 0')" True
    assert_equal "$(json 'j["bytes_written"] == 4096 * j["blocks_written"]')" True
    is_merged
    assert_equal "$(counts)" "0 0 0 300"
    # Once more is nothing to do.
    run_json flush --json "$CACHE"
    assert_equal "$status" 0
    assert_equal "$(json 'j["blocks_total"], j["entries_freed"]')" "(0, 0)"
    is_merged
  done
}

@test "wc-flush: JSON has exactly the members of the contract" {
  make_images clean
  run_json flush --json "$CACHE"
  assert_equal "$(json '" ".join(j)')" \
    "schema blocks_total blocks_written bytes_written blocks_failed failed_ranges entries_freed seconds"
}

@test "wc-flush: --origin is required" {
  make_images clean
  run wc-flush "$CACHE"
  assert_equal "$status" 16
}

@test "wc-flush: --dry-run writes nothing, --keep only the origin" {
  make_images stale
  local before
  before=$(checksum "$CACHE" "$ORIGIN")
  run_json flush --json --dry-run "$CACHE"
  assert_equal "$status" 0
  assert_equal "$(json 'j["blocks_total"], j["blocks_written"], j["entries_freed"]')" "(80, 0, 0)"
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
  expect_merged
  before=$(checksum "$CACHE")
  run_json flush --json --keep "$CACHE"
  assert_equal "$status" 0
  assert_equal "$(json 'j["blocks_written"], j["entries_freed"]')" "(80, 0)"
  assert_equal "$(checksum "$CACHE")" "$before"
  is_merged
}

@test "wc-flush: --verify reads back" {
  make_images clean
  expect_merged
  run flush --verify "$CACHE"
  assert_success
  is_merged
}

@test "wc-flush: --uncommitted=flush writes the last commit too" {
  make_images uncommitted
  expect_merged --uncommitted
  run flush --uncommitted=flush "$CACHE"
  assert_success
  is_merged
  assert_equal "$(counts)" "0 0 0 300"
}

@test "wc-flush: --range takes only the blocks that touch it" {
  make_images clean
  cp "$ORIGIN" "$BATS_TEST_TMPDIR/origin.before"
  expect_merged
  # Entry 0 is sector 0, entry 1 sector 56: the range ends inside block 56.
  run_json flush --json --range 0+57 "$CACHE"
  assert_equal "$status" 0
  assert_equal "$(json 'j["blocks_written"] >= 2 and j["blocks_written"] == j["entries_freed"]')" True
  run cmp <(head -c 32768 "$ORIGIN") <(head -c 32768 "$BATS_TEST_TMPDIR/merged")
  assert_success
  run cmp <(tail -c +32769 "$ORIGIN") <(tail -c +32769 "$BATS_TEST_TMPDIR/origin.before")
  assert_success
  run flush "$CACHE"
  assert_success
  is_merged
}

@test "wc-flush: refuses damage with 4 and writes nothing; --skip-check goes on" {
  local recipe before
  for recipe in identical-data-different misaligned future; do
    make_images "$recipe"
    before=$(checksum "$CACHE" "$ORIGIN")
    run_json flush --json "$CACHE"
    assert_equal "$recipe $status" "$recipe 4"
    assert_schema wc-flush "$JSON"
    assert_equal "$(json 'j["error"]["code"]')" damaged
    assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
  done
  # A superblock that is none cannot be skipped; where nothing ever was, nothing is damaged.
  local expected words
  for words in "bad-magic 4" "bad-version 4" "bad-block-size 4" "bad-n-blocks 4" "zeroed-superblock 4" "blank 8"; do
    read -r recipe expected <<<"$words"
    make_images "$recipe"
    before=$(checksum "$CACHE" "$ORIGIN")
    run_json flush --json "$CACHE"
    assert_equal "$recipe $status" "$words"
    if [ "$expected" = 4 ]; then
      assert_equal "$(json 'j["error"]["code"]')" damaged
      [[ "$stderr_text" == *"$recipe"*"(see wc-check)"* ]] || fail "$stderr_text"
    fi
    run flush --skip-check "$CACHE"
    assert_equal "$recipe --skip-check $status" "$recipe --skip-check 8"
    assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
  done
  make_images identical-data-different
  expect_merged
  run flush --skip-check "$CACHE"
  assert_success
  is_merged
}

@test "wc-flush: blocks beyond the origin's end: fail writes nothing, skip keeps them and says 4" {
  make_images beyond-origin
  local before
  before=$(checksum "$CACHE" "$ORIGIN")
  run flush "$CACHE"
  assert_equal "$status" 4
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
  # What it would write leaves out what it would not; and to try once more is no help here.
  run_json wc-check --json "$CACHE"
  local live
  live=$(json 'j["counts"]["live"]')
  run --separate-stderr flush --beyond-end=skip --dry-run "$CACHE"
  assert_equal "$status" 4
  [[ "$output" == *" $((live - 2)) blocks would be written"* ]] || fail "$output"
  [[ "$stderr" == *"2 blocks belong to places behind the end"* && "$stderr" != *"run the command again"* ]] || fail "$stderr"
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
  expect_merged
  run_json flush --json --beyond-end=skip "$CACHE"
  assert_equal "$status" 4
  assert_schema wc-flush "$JSON"
  assert_equal "$(json 'j["blocks_failed"], len(j["failed_ranges"]) > 0, j["failed_ranges"][0]["sector"]')" "(2, True, 8192)"
  is_merged
  run_json wc-check --json "$CACHE"
  assert_equal "$(json 'j["counts"]["live"]')" 2
}

@test "wc-flush: stopped by SIGTERM it says 32, loses nothing and goes on later" {
  make_images clean
  expect_merged
  local signal code
  for signal in TERM INT HUP; do
    make_images clean
    code=0
    # A command in the background ignores SIGINT from the start; python gives it back.
    "${PYTHON[@]}" - "$signal" "$ORIGIN" "$CACHE" <<'EOF' || code=$?
import signal, subprocess, sys, time
name, origin, cache = sys.argv[1:]
number = getattr(signal, "SIG" + name)
process = subprocess.Popen(["wc-flush", "--rate", "16K", "--queue-depth", "1", "--origin", origin, cache],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
time.sleep(2)
assert process.poll() is None, process.returncode
process.send_signal(number)
sys.exit(process.wait(30))
EOF
    assert_equal "$signal $((code & 32))" "$signal 32"
    run flush "$CACHE"
    assert_success
    is_merged
    assert_equal "$(counts)" "0 0 0 300"
  done
}

@test "wc-flush: killed at any moment it goes on where it was" {
  make_images stale
  expect_merged
  local delay
  for delay in 0.05 0.2 0.5 1; do
    timeout -s KILL "$delay" wc-flush --rate 64K --queue-depth 2 --origin "$ORIGIN" "$CACHE" >/dev/null 2>&1 || true
    # What was killed may still wait for the disk, with the cache locked.
    while pgrep -f "^wc-flush --rate 64K .* $CACHE\$" >/dev/null; do sleep 0.05; done
  done
  run flush "$CACHE"
  assert_success
  is_merged
  assert_equal "$(counts)" "0 0 0 300"
}

@test "wc-flush: cache and origin must differ" {
  make_images clean
  ln -s "$CACHE" "$BATS_TEST_TMPDIR/link"
  local before
  before=$(checksum "$CACHE")
  run wc-flush --origin "$BATS_TEST_TMPDIR/link" "$CACHE"
  assert_equal "$status" 8
  assert_equal "$(checksum "$CACHE")" "$before"
}

@test "wc-flush: both begin inside their devices" {
  make_images clean
  expect_merged
  { head -c 65536 /dev/zero; cat "$ORIGIN"; } >"$BATS_TEST_TMPDIR/origin.moved"
  { head -c 1048576 /dev/zero; cat "$CACHE"; } >"$BATS_TEST_TMPDIR/cache.moved"
  run wc-flush --start-sector 2048 --origin "$BATS_TEST_TMPDIR/origin.moved" --origin-start-sector 128 \
    "$BATS_TEST_TMPDIR/cache.moved"
  assert_success
  run cmp <(tail -c +65537 "$BATS_TEST_TMPDIR/origin.moved") "$BATS_TEST_TMPDIR/merged"
  assert_success
  run cmp <(head -c 65536 "$BATS_TEST_TMPDIR/origin.moved") <(head -c 65536 /dev/zero)
  assert_success
}

@test "wc-flush: usage errors are 16 and write nothing" {
  make_images clean
  local line words before
  before=$(checksum "$CACHE" "$ORIGIN")
  while read -r line; do
    read -ra words <<<"$line"
    run flush "${words[@]}" "$CACHE"
    assert_equal "$line: $status" "$line: 16"
  done <<EOF
--range 5
--range 5+0
--range +5
--range 18014398509481983+2
--range -1+4
--rate 0
--rate x
--queue-depth 0
--queue-depth 1025
--uncommitted=keep
--beyond-end=maybe
EOF
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
}

@test "wc-flush: a configuration file of wc-run says where cache and origin are" {
  make_images clean
  expect_merged
  # Behind other things, so that a start that is not taken from the file would be noticed.
  local cache="$BATS_TEST_TMPDIR/c" origin="$BATS_TEST_TMPDIR/o" config="$BATS_TEST_TMPDIR/fast.conf"
  dd if="$CACHE" of="$cache" bs=512 seek=2048 status=none
  dd if="$ORIGIN" of="$origin" bs=512 seek=512 status=none
  printf '# comment\ncache = %s\nstart_sector = 2048\norigin = %s\norigin-start-sector = 512\nhigh-watermark = 60\nname = x\n' \
    "$cache" "$origin" >"$config"
  run wc-flush --config "$config"
  assert_success
  tail -c +$((512 * 512 + 1)) "$origin" | cmp - "$BATS_TEST_TMPDIR/merged"
  # What is typed wins.
  run wc-flush --config="$config" --start-sector 0 "$CACHE" --dry-run
  assert_success
  assert_output --partial "$CACHE: "
}

@test "wc-flush: a configuration file that may mean something else is refused, and nothing is written" {
  make_images clean
  local config="$BATS_TEST_TMPDIR/fast.conf" before line
  before=$(checksum "$CACHE" "$ORIGIN")
  for line in 'orign-start-sector = 8' 'read-only = true' 'table = 0 8 writecache s a b 4096 0' 'rate = 5' 'config = x'; do
    printf 'cache = %s\norigin = %s\n%s\n' "$CACHE" "$ORIGIN" "$line" >"$config"
    run wc-flush --config "$config"
    assert_equal "$line $status" "$line 16"
  done
  run wc-flush --config "$BATS_TEST_TMPDIR/none"
  assert_equal "$status" 8
  printf 'origin = %s\n' "$ORIGIN" >"$config"
  run wc-flush --config "$config"
  assert_equal "$status" 16
  assert_output --partial "CACHE is required"
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
}

@test "wc-flush: it knows every setting of wc-run" {
  make_images clean
  local config="$BATS_TEST_TMPDIR/fast.conf" option count=0
  for option in $(wc-run --help | sed -n '/^Options:/,/^$/s/^  \(-.,\)\{0,1\}--\([a-z-]*\).*/\2/p'); do
    case $option in help | version | config | table | read-only | cache | origin | start-sector | origin-start-sector) continue ;; esac
    printf 'cache = %s\norigin = %s\n%s = 1\n' "$CACHE" "$ORIGIN" "$option" >"$config"
    run wc-flush --dry-run --config "$config"
    assert_equal "$option $status" "$option 0"
    count=$((count + 1))
  done
  [ "$count" -gt 15 ] || fail "only $count settings were found in wc-run --help"
}

@test "wc-flush: an image of metadata alone is not drained" {
  make_images clean
  local before
  wc-dump --image "$BATS_TEST_TMPDIR/meta.img" "$CACHE"
  before=$(checksum "$ORIGIN" "$BATS_TEST_TMPDIR/meta.img")
  for word in "" --keep; do
    # shellcheck disable=SC2086  # no word or one
    run wc-flush $word --origin "$ORIGIN" "$BATS_TEST_TMPDIR/meta.img"
    assert_failure 8
    assert_output --partial "no data at all"
  done
  assert_equal "$(checksum "$ORIGIN" "$BATS_TEST_TMPDIR/meta.img")" "$before"
}
