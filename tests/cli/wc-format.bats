#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# wc-format on real images: geometry, refusals, wipe, restore from a dump, block size by origin.
# bats and common.bash assign status, output, stderr, lines, stderr_text; other files read JSON.
# shellcheck disable=SC2154,SC2034,SC2030,SC2031
bats_require_minimum_version 1.5.0
load common.bash

format() {
  timeout -k 5 60 wc-format "$@"
}

# new_image SIZE: an all-zero file $CACHE.
new_image() {
  CACHE="$BATS_TEST_TMPDIR/new.img"
  rm -f "$CACHE"
  truncate -s "$1" "$CACHE"
}

@test "wc-format: the geometry is the driver's, for sizes and block sizes" {
  local size block expected
  for size in 8192 65536 1000448 1048576 16777216 16777728; do
    for block in 512 1024 2048 4096; do
      new_image "$size"
      expected=$("${PYTHON[@]}" -c 'import sys; sys.path.insert(0, sys.argv[1]); import cacheimage
print(cacheimage.capacity(int(sys.argv[2]), int(sys.argv[3])))' "$ROOT/tests/images" "$size" "$block")
      run_json format --json --block-size "$block" "$CACHE"
      if [ "$expected" -eq 0 ]; then
        assert_equal "$size $block $status" "$size $block 8"
        continue
      fi
      assert_equal "$size $block $status" "$size $block 0"
      assert_schema wc-format "$JSON"
      assert_equal "$(json 'j["n_blocks"], j["block_size"], j["seq_count"], j["device_bytes"]')" \
        "($expected, $block, 0, $size)"
      assert_equal "$(json 'j["metadata_bytes"]')" "$((64 + 16 * expected))"
      assert_equal "$(json 'j["data_offset"]')" "$(((64 + 16 * expected + block - 1) / block * block))"
      run wc-check "$CACHE"
      assert_success
    done
  done
}

@test "wc-format: JSON has exactly the members of the contract" {
  new_image 1M
  run_json format --json "$CACHE"
  assert_equal "$(json '" ".join(j)')" "schema block_size n_blocks metadata_bytes data_offset device_bytes start_sector seq_count"
}

@test "wc-format: --blocks, and too many of them" {
  new_image 1M
  run format --blocks 10 "$CACHE"
  assert_success
  run_json wc-check --json "$CACHE"
  assert_equal "$(json 'j["superblock"]["n_blocks"], [f["code"] for f in j["findings"]]')" "(10, ['spare-room'])"
  new_image 1M
  local before
  before=$(checksum "$CACHE")
  run format --blocks 256 "$CACHE"
  assert_equal "$status" 8
  assert_equal "$(checksum "$CACHE")" "$before"
}

@test "wc-format: --dry-run says the same and writes nothing" {
  new_image 1M
  local before
  before=$(checksum "$CACHE")
  run_json format --json --dry-run "$CACHE"
  assert_equal "$status" 0
  assert_equal "$(checksum "$CACHE")" "$before"
  local dry="$BATS_TEST_TMPDIR/dry.json"
  mv "$JSON" "$dry"
  run_json format --json "$CACHE"
  run cmp "$dry" "$JSON"
  assert_success
}

@test "wc-format: a clean cache needs --force, a dirty one --discard-dirty too" {
  new_image 1M
  run format "$CACHE"
  assert_success
  run --separate-stderr format "$CACHE"
  assert_equal "$status" 8
  [[ "$stderr" == *--force* ]] || fail "$stderr"
  run format --force "$CACHE"
  assert_success

  make_images clean
  local before words
  before=$(checksum "$CACHE")
  for words in "" "--force" "--wipe" "--wipe --force"; do
    # shellcheck disable=SC2086  # words are meant to be split
    run --separate-stderr format $words "$CACHE"
    assert_equal "$words: $status" "$words: 8"
    [[ "$stderr" == *wc-flush* && "$stderr" == *--discard-dirty* ]] || fail "$stderr"
  done
  run format --discard-dirty "$CACHE"
  assert_equal "$status" 16
  assert_equal "$(checksum "$CACHE")" "$before"
  run format --force --discard-dirty "$CACHE"
  assert_success
  run_json wc-check --json "$CACHE"
  assert_equal "$(json 'j["counts"]["live"]')" 0
}

@test "wc-format: a foreign signature is named and needs --force" {
  command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"
  new_image 8M
  mkfs.ext4 -q -L precious "$CACHE"
  local before
  before=$(checksum "$CACHE")
  run --separate-stderr format "$CACHE"
  assert_equal "$status" 8
  [[ "$stderr" == *ext4* && "$stderr" == *--force* ]] || fail "$stderr"
  run format --wipe "$CACHE"
  assert_equal "$status" 8
  assert_equal "$(checksum "$CACHE")" "$before"
  run format --force "$CACHE"
  assert_success
  run wc-check "$CACHE"
  assert_success
}

@test "wc-format: --wipe zeroes the first 4 KiB and nothing else" {
  make_images empty
  cp "$CACHE" "$BATS_TEST_TMPDIR/before"
  run_json format --json --wipe --force "$CACHE"
  assert_equal "$status" 0
  assert_schema wc-format "$JSON"
  run cmp <(head -c 4096 /dev/zero) <(head -c 4096 "$CACHE")
  assert_success
  run cmp <(tail -c +4097 "$BATS_TEST_TMPDIR/before") <(tail -c +4097 "$CACHE")
  assert_success
  run_json wc-check --json "$CACHE"
  assert_equal "$(json 'j["activation"]["outcome"]')" formats
}

@test "wc-format: nobody takes what --wipe leaves of a dirty cache for one with data" {
  local recipe
  for recipe in clean uncommitted stale zeroed-superblock bad-magic; do
    make_images "$recipe"
    run format --wipe --force --discard-dirty "$CACHE"
    assert_success
    run cmp <(head -c 4096 /dev/zero) <(head -c 4096 "$CACHE")
    assert_success
    run_json wc-check --json "$CACHE"
    assert_equal "$recipe $status $(json 'j["verdict"], j["activation"]["outcome"]')" "$recipe 0 ('blank', 'formats')"
  done
}

@test "wc-format: --origin chooses and verifies the block size" {
  command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"
  local origin="$BATS_TEST_TMPDIR/fs.img"
  truncate -s 16M "$origin"
  mkfs.ext4 -q -b 1024 "$origin"
  new_image 1M
  run_json format --json --origin "$origin" "$CACHE"
  assert_equal "$status" 0
  local chosen
  chosen=$(json 'j["block_size"]')
  [ "$chosen" -le 1024 ] || fail "chose $chosen for a file system with blocks of 1024"
  new_image 1M
  run --separate-stderr format --origin "$origin" --block-size 4096 "$CACHE"
  assert_equal "$status" 8
  [[ "$stderr" == *"--block-size $chosen"* ]] || fail "$stderr"
  run format --origin "$origin" --block-size 4096 --force "$CACHE"
  assert_success
}

@test "wc-format: cache and origin must differ" {
  new_image 1M
  run format --origin "$CACHE" "$CACHE"
  assert_equal "$status" 8
}

@test "wc-format: a dump restores the entries to the byte" {
  command -v wc-dump >/dev/null || skip "wc-dump is not built"
  local recipe
  for recipe in clean uncommitted stale future; do
    make_images "$recipe"
    local before
    before=$(checksum "$CACHE")
    wc-dump --json --entries=all "$CACHE" >"$BATS_TEST_TMPDIR/dump.json" || true
    dd if=/dev/zero of="$CACHE" bs=4096 count=2 conv=notrunc status=none
    run --separate-stderr format --from-dump "$BATS_TEST_TMPDIR/dump.json" --force --discard-dirty "$CACHE"
    assert_equal "$recipe $status $stderr" "$recipe 0 "
    assert_equal "$recipe $(checksum "$CACHE")" "$recipe $before"
  done
}

# dump_of TEXT...: a file that claims to be a dump.
dump_of() {
  printf '%s' "$*" >"$BATS_TEST_TMPDIR/dump.json"
}
SB='"superblock":{"magic":1,"version":1,"block_size":512,"n_blocks":20,"seq_count":9}'

@test "wc-format: --from-dump takes members in any order and entries that are missing as free" {
  new_image 64K
  dump_of '{"entries" : [ {"state":"live","seq":3,"sector":8,"index":2},{"index":5,"sector":1,"seq":4} ],' \
    '"extra":{"a":[1,2,{"b":-1.5e3}]},"n":-12.5,"t":true,"z":null,"s":"x\"y",' "$SB" ',"schema":"writecache.dump/1"}'
  run --separate-stderr format --from-dump "$BATS_TEST_TMPDIR/dump.json" "$CACHE"
  assert_equal "$status $stderr" "0 "
  run_json wc-check --json "$CACHE"
  assert_equal "$(json 'j["superblock"]["n_blocks"], j["superblock"]["seq_count"], j["counts"]["live"], j["counts"]["free"]')" \
    "(20, 9, 2, 18)"
}

@test "wc-format: a bad dump is refused before a byte is written" {
  new_image 64K
  local before text
  before=$(checksum "$CACHE")
  local head='{"schema":"writecache.dump/1",'
  local long
  long=$(printf '%05000d' 0)
  for text in '' '[]' '{' '{}' 'null' '{"schema":"writecache.check/1"}' "$head$SB}" "$head\"entries\":[]}" \
    "$head$SB,\"entries\":{}}" "$head$SB,\"entries\":[}" "$head$SB,\"entries\":[" "$head$SB,\"entries\":[]" \
    "$head$SB,\"entries\":[]}x" "$head$SB,\"entries\":[1]}" "$head$SB,\"entries\":[{}]}" \
    "$head$SB,\"entries\":[{\"index\":1,\"sector\":0}]}" \
    "$head$SB,\"entries\":[{\"index\":1,\"sector\":-1,\"seq\":1}]}" \
    "$head$SB,\"entries\":[{\"index\":1,\"sector\":1.5,\"seq\":1}]}" \
    "$head$SB,\"entries\":[{\"index\":1,\"sector\":18446744073709551616,\"seq\":1}]}" \
    "$head$SB,\"entries\":[{\"index\":1,\"index\":2,\"sector\":1,\"seq\":1}]}" \
    "$head$SB,\"entries\":[{\"index\":20,\"sector\":1,\"seq\":1}]}" \
    "$head$SB,\"entries\":[{\"index\":2,\"sector\":1,\"seq\":1},{\"index\":2,\"sector\":1,\"seq\":1}]}" \
    "$head$SB,\"entries\":[{\"index\":2,\"sector\":1,\"seq\":1}{\"index\":3,\"sector\":1,\"seq\":1}]}" \
    "$head$SB,\"entries\":[{\"index\":2,\"sector\":1,\"seq\":1,\"state\":\"free\"}]}" \
    "$head$SB,\"entries\":[{\"index\":2,\"sector\":1,\"seq\":1,\"state\":\"odd\"}]}" \
    "$head$SB,$SB,\"entries\":[]}" "$head$SB,\"entries\":[],\"entries\":[]}" "$head\"$long\":1,$SB,\"entries\":[]}" \
    "$head\"deep\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]],$SB,\"entries\":[]}" \
    "$head\"n\":1-2,$SB,\"entries\":[]}" \
    "$head${SB/512/513},\"entries\":[]}" "$head${SB/20/0},\"entries\":[]}" "$head${SB/20/99999999999999999999},\"entries\":[]}" \
    "$head${SB/:20/:1000},\"entries\":[]}" "$head${SB/:9/:18446744073709551615},\"entries\":[]}"; do
    dump_of "$text"
    run --separate-stderr format --from-dump "$BATS_TEST_TMPDIR/dump.json" "$CACHE"
    no_sanitizer_report "$stderr"
    assert_equal "$text: $status" "$text: 8"
    assert_equal "$(checksum "$CACHE")" "$before"
  done
  # A token of many megabytes is refused, not kept in memory.
  { printf '%s"long":"' "$head"; head -c 8000000 /dev/zero | tr '\0' a; printf '",%s,"entries":[]}' "$SB"; } \
    >"$BATS_TEST_TMPDIR/dump.json"
  run --separate-stderr format --from-dump "$BATS_TEST_TMPDIR/dump.json" "$CACHE"
  assert_equal "$status" 8
  [[ "$stderr" == *"too long"* ]] || fail "$stderr"
  mkfifo "$BATS_TEST_TMPDIR/fifo"
  run format --from-dump "$BATS_TEST_TMPDIR/fifo" "$CACHE"
  assert_equal "$status" 8
  run format --from-dump "$BATS_TEST_TMPDIR/missing" "$CACHE"
  assert_equal "$status" 8
  run format --from-dump "$BATS_TEST_TMPDIR" "$CACHE"
  assert_equal "$status" 8
  assert_equal "$(checksum "$CACHE")" "$before"
}

@test "wc-format: a dump that is cut at any byte is refused" {
  new_image 64K
  local text before cut
  text='{"schema":"writecache.dump/1",'"$SB"',"entries":[{"index":2,"sector":8,"seq":1,"state":"live"}]}'
  before=$(checksum "$CACHE")
  for cut in $(seq 0 3 $((${#text} - 1))); do
    dump_of "${text:0:cut}"
    run --separate-stderr format --from-dump "$BATS_TEST_TMPDIR/dump.json" "$CACHE"
    no_sanitizer_report "$stderr"
    assert_equal "$cut $status" "$cut 8"
  done
  assert_equal "$(checksum "$CACHE")" "$before"
}

@test "wc-format: usage errors are 16" {
  new_image 1M
  local line words before
  before=$(checksum "$CACHE")
  while read -r line; do
    read -ra words <<<"$line"
    run format "${words[@]}" "$CACHE"
    assert_equal "$line: $status" "$line: 16"
  done <<EOF
--block-size 0
--block-size 513
--block-size 131072
--blocks 0
--blocks 140737488355328
--blocks -5
--wipe --blocks 3
--wipe --from-dump f
--discard-dirty
--origin-start-sector 5
EOF
  assert_equal "$(checksum "$CACHE")" "$before"
}
