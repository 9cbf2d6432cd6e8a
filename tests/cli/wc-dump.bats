#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# wc-dump on real images: every form of output, against references made with Python.
# bats and common.bash assign status, output, stderr, lines, stderr_text; other files read JSON.
# shellcheck disable=SC2154,SC2034,SC2030,SC2031
bats_require_minimum_version 1.5.0
load common.bash

dump() {
  timeout -k 5 60 wc-dump "$@"
}

# reference STATES KEY: the lines that a listing must have, from the bytes of $CACHE; KEY is index, sector or seq.
reference() {
  "${PYTHON[@]}" - "$CACHE" "$1" "$2" <<'EOF'
import struct, sys
data = open(sys.argv[1], "rb").read()
wanted = sys.argv[2].split(",")
_, _, _, _, blocks, committed = struct.unpack_from("<IIIIQQ", data)
entries = [struct.unpack_from("<QQ", data, 64 + 16 * i) for i in range(blocks)]
live = {}
for index, (sector, seq) in enumerate(entries):
    if seq < committed and (sector not in live or seq >= entries[live[sector]][1]):
        live[sector] = index
rows = []
for index, (sector, seq) in enumerate(entries):
    if seq == 2**64 - 1:
        state = "free"
    elif seq < committed:
        state = "live" if live[sector] == index else "stale"
    else:
        state = "uncommitted" if seq == committed else "future"
    if state in wanted:
        rows.append((index, sector, seq, state))
key = {"index": 0, "sector": 1, "seq": 2}[sys.argv[3]]
for row in sorted(rows, key=lambda row: (row[key], row[0])):
    print(*row)
EOF
}

# mixed_image: $CACHE with entries of every state; $ORIGIN.
mixed_image() {
  CACHE="$BATS_TEST_TMPDIR/cache.img"
  ORIGIN="$BATS_TEST_TMPDIR/origin.img"
  "${PYTHON[@]}" - "$CACHE" "$ORIGIN" "${1:-0}" <<'EOF'
import os, random, struct, sys
random.seed(7)
blocks, block, committed, damage = 300, 4096, 50, int(sys.argv[3])
newest = {}
raw = b""
for index in range(blocks):
    sector = random.randrange(200) * 8
    kind = random.randrange(8)
    if kind == 0:
        raw += struct.pack("<QQ", sector, 2**64 - 1)
    elif kind == 1:
        raw += struct.pack("<QQ", sector, committed + (damage and index % 2))
    else:
        newest[sector] = newest.get(sector, 0) + 1
        raw += struct.pack("<QQ", sector, newest[sector])
offset = (64 + 16 * blocks + block - 1) // block * block
head = struct.pack("<IIIIQQ", 0x23489321, 1, block, 0, blocks, committed) + bytes(32) + raw
with open(sys.argv[1], "wb") as cache:
    cache.write(head.ljust(offset, b"\0"))
    for index in range(blocks):
        cache.write(struct.pack("<Q", index + 1) * (block // 8))
with open(sys.argv[2], "wb") as origin:
    for sector in range(1601):
        origin.write(struct.pack(">Q", sector) * 64)
EOF
}

# merged FILE: what --read of everything must give.
merged() {
  "${PYTHON[@]}" - "$CACHE" "$ORIGIN" "$1" <<'EOF'
import struct, sys
data = open(sys.argv[1], "rb").read()
out = bytearray(open(sys.argv[2], "rb").read())
_, _, block, _, blocks, committed = struct.unpack_from("<IIIIQQ", data)
offset = (64 + 16 * blocks + block - 1) // block * block
newest = {}
for index in range(blocks):
    sector, seq = struct.unpack_from("<QQ", data, 64 + 16 * index)
    if seq < committed and seq >= newest.get(sector, (0, 0))[0]:
        newest[sector] = (seq, index)
for sector, (_, index) in newest.items():
    if sector * 512 < len(out):
        part = data[offset + index * block:offset + (index + 1) * block][:len(out) - sector * 512]
        out[sector * 512:sector * 512 + len(part)] = part
open(sys.argv[3], "wb").write(out)
EOF
}

@test "wc-dump: the summary names superblock, geometry and counts" {
  mixed_image
  run --separate-stderr dump "$CACHE"
  assert_success
  assert_equal "$stderr" ""
  assert_line --regexp '^  magic +0x23489321$'
  assert_line --regexp '^  block size +4096 bytes$'
  assert_line --regexp '^  metadata +4864 bytes$'
  assert_line --regexp '^  data +1228800 bytes .* from byte 8192$'
  assert_line --regexp "^  live +$(reference live index | wc -l) \("
  assert_line --regexp "^  uncommitted +$(reference uncommitted index | wc -l)$"
}

@test "wc-dump: entries of any states in any order, as text, CSV and JSON" {
  mixed_image 1
  local states order
  for states in live live,stale uncommitted,future free live,stale,uncommitted,future,free; do
    for order in index sector seq; do
      reference "$states" "$order" >"$BATS_TEST_TMPDIR/expected"
      run -4 --separate-stderr dump "--entries=$states" "--sort=$order" "$CACHE"
      [[ "$stderr" == *"future: "* ]] || fail "$stderr"
      assert_equal "$output" "$(echo '# index sector seq state'; cat "$BATS_TEST_TMPDIR/expected")"
      run -4 --separate-stderr dump --csv "--entries=$states" "--sort=$order" "$CACHE"
      assert_equal "$output" "$(echo 'index,sector,seq,state'; tr ' ' , <"$BATS_TEST_TMPDIR/expected")"
      run_json dump --json "--entries=$states" "--sort=$order" "$CACHE"
      assert_equal "$status" 4
      assert_schema wc-dump "$JSON"
      assert_equal "$(json '"\n".join("{index} {sector} {seq} {state}".format(**e) for e in j["entries"])')" \
        "$(cat "$BATS_TEST_TMPDIR/expected")"
    done
  done
  run --separate-stderr dump --entries=all "$CACHE"
  assert_equal "${#lines[@]}" 301
}

@test "wc-dump: live entries by default, and the cache may follow --entries" {
  mixed_image
  run --separate-stderr dump --entries "$CACHE"
  assert_success
  assert_equal "$output" "$(echo '# index sector seq state'; reference live index)"
  run --separate-stderr dump --csv "$CACHE"
  assert_equal "$output" "$(echo 'index,sector,seq,state'; reference live index | tr ' ' ,)"
}

@test "wc-dump: JSON has counts, dirty bytes and numbers beyond 2^63 as integers" {
  mixed_image
  run_json dump --json --entries=free "$CACHE"
  assert_equal "$status" 0
  assert_schema wc-dump "$JSON"
  assert_equal "$(json '" ".join(j)')" "schema superblock counts dirty_bytes entries"
  assert_equal "$(json 'j["dirty_bytes"] == 4096 * j["counts"]["live"]')" True
  assert_equal "$(json 'all(e["seq"] == 2**64 - 1 for e in j["entries"])')" True
  assert_equal "$(json 'len(j["entries"]) == j["counts"]["free"] > 0')" True
  run_json dump --json "$CACHE"
  assert_equal "$(json '"entries" in j')" False
  run_json dump --json --entries=future "$CACHE"
  assert_schema wc-dump "$JSON"
  assert_equal "$(json 'j["entries"]')" "[]"
}

@test "wc-dump: --block gives any block, and refuses one that does not exist" {
  mixed_image
  local index
  for index in 0 1 77 299; do
    dump --block "$index" "$CACHE" >"$BATS_TEST_TMPDIR/block"
    run cmp "$BATS_TEST_TMPDIR/block" <(tail -c +$((8193 + index * 4096)) "$CACHE" | head -c 4096)
    assert_success
  done
  for index in 300 18446744073709551615; do
    run --separate-stderr dump --block "$index" "$CACHE"
    assert_equal "$index $status $output" "$index 8 "
  done
}

@test "wc-dump: --read gives the merged content of any range" {
  mixed_image
  merged "$BATS_TEST_TMPDIR/expected"
  local range first count
  for range in 0+1601 0+1 1600+1 3+7 13+1000 1593+8; do
    first=${range%+*} count=${range#*+}
    dump --read "$range" --origin "$ORIGIN" "$CACHE" >"$BATS_TEST_TMPDIR/read"
    tail -c +$((first * 512 + 1)) "$BATS_TEST_TMPDIR/expected" | head -c $((count * 512)) >"$BATS_TEST_TMPDIR/part"
    run cmp "$BATS_TEST_TMPDIR/read" "$BATS_TEST_TMPDIR/part"
    assert_success
  done
  # Without a count: one block, or what is left of the origin.
  assert_equal "$(dump --read 16 --origin "$ORIGIN" "$CACHE" | wc -c)" 4096
  assert_equal "$(dump --read 1598 --origin "$ORIGIN" "$CACHE" | wc -c)" 1536
  for range in 1601 1601+1 0+1602 1600+2 18014398509481983+1; do
    run --separate-stderr dump --read "$range" --origin "$ORIGIN" "$CACHE"
    assert_equal "$range $status $output" "$range 8 "
  done
  # An origin that begins inside its device.
  { head -c 5120 /dev/zero; cat "$ORIGIN"; } >"$BATS_TEST_TMPDIR/shifted"
  dump --read 0+1601 --origin "$BATS_TEST_TMPDIR/shifted" --origin-start-sector 10 "$CACHE" >"$BATS_TEST_TMPDIR/read"
  run cmp "$BATS_TEST_TMPDIR/read" "$BATS_TEST_TMPDIR/expected"
  assert_success
}

@test "wc-dump: --image is sparse, as large as the device, and taken in its place" {
  mixed_image
  local image="$BATS_TEST_TMPDIR/meta.img"
  run dump --image "$image" "$CACHE"
  assert_success
  assert_equal "$(stat -c %s "$image")" "$(stat -c %s "$CACHE")"
  [ "$(stat -c %b "$image")" -le 32 ] || fail "not sparse: $(stat -c %b "$image") blocks"
  run cmp -n $((64 + 16 * 300)) "$image" "$CACHE"
  assert_success
  run diff <(dump --entries=all "$CACHE") <(dump --entries=all "$image")
  assert_success
  # A cache that begins inside its device: the image begins with the cache.
  { head -c 4096 /dev/zero; cat "$CACHE"; } >"$BATS_TEST_TMPDIR/shifted"
  run dump --start-sector 8 --image "$BATS_TEST_TMPDIR/meta2.img" "$BATS_TEST_TMPDIR/shifted"
  assert_success
  run cmp "$image" "$BATS_TEST_TMPDIR/meta2.img"
  assert_success
}

@test "wc-dump: the terminal map fits 80 columns, has a legend and every dirty part" {
  mixed_image
  run env LC_ALL=C timeout 60 wc-dump --map "$CACHE" --origin "$ORIGIN"
  assert_success
  assert_line --index 0 --partial "] $(reference live index | wc -l) of 300 blocks dirty"
  assert_line --index 1 "origin    800.5 KiB in parts of 4.0 KiB"
  assert_line --index 2 --partial "(oldest) to"
  local line
  for line in "${lines[@]}"; do
    [ "${#line}" -le 80 ] || fail "too wide: $line"
    [[ "$line" != *[!\ -~]* ]] || fail "not ASCII: $line"
  done
  [ "${#lines[@]}" -le 24 ] || fail "too high: ${#lines[@]} lines"
  # As many marks, and as many ages, as parts of the origin that hold blocks.
  local parts
  parts=$(reference live sector | awk '{ print int($2 / 8) }' | sort -u | wc -l)
  run bash -c 'LC_ALL=C wc-dump --map "$1" --origin "$2" | sed -n "s/^.*|\(.*\)|.*|$/\1/p" | tr -d " \n" | wc -c' _ "$CACHE" "$ORIGIN"
  assert_output "$parts"
  run bash -c 'LC_ALL=C wc-dump --map "$1" --origin "$2" | sed -n "s/^.*|.*|\(.*\)|$/\1/p" | tr -cd 0-9 | wc -c' _ "$CACHE" "$ORIGIN"
  assert_output "$parts"
  run dump --map "$CACHE"
  assert_output --partial "at least"
  # Sequences of 20 digits do not fit in one line.
  printf '\xfe\xff\xff\xff\xff\xff\xff\xff' | dd of="$CACHE" bs=1 seek=24 conv=notrunc status=none
  printf '\xf0\xff\xff\xff\xff\xff\xff\xff' | dd of="$CACHE" bs=1 seek=72 conv=notrunc status=none
  run -4 --separate-stderr env LC_ALL=C timeout 60 wc-dump --map "$CACHE"
  assert_output --partial "18446744073709551600 (newest)"
  for line in "${lines[@]}"; do
    [ "${#line}" -le 80 ] || fail "too wide: $line"
  done
}

@test "wc-dump: the SVG map is a document whose cells add up to the live blocks" {
  mixed_image
  run dump --map=svg -o "$BATS_TEST_TMPDIR/map.svg" "$CACHE"
  assert_success
  assert_output ""
  run "${PYTHON[@]}" -c 'import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
space = "{http://www.w3.org/2000/svg}"
assert root.tag == space + "svg"
texts = [text.text for text in root.iter(space + "text")]
assert "offset on the origin" in texts, texts
print(sum(int(t.text.split(": ")[1].split()[0]) for r in root.iter(space + "rect") for t in r.iter(space + "title")))' \
    "$BATS_TEST_TMPDIR/map.svg"
  assert_success
  assert_output "$(reference live index | wc -l)"
}

@test "wc-dump: -o replaces a file only once the new one is complete" {
  mixed_image
  local out="$BATS_TEST_TMPDIR/out"
  echo old >"$out"
  run dump --block 999 -o "$out" "$CACHE"
  assert_equal "$status" 8
  assert_equal "$(cat "$out")" old
  run dump --csv --entries=all -o "$out" "$CACHE"
  assert_success
  assert_output ""
  assert_equal "$(wc -l <"$out")" 301
  run dump -o "$out" --json "$CACHE"
  assert_output ""
  assert_schema wc-dump "$out"
  assert_equal "$(find "$BATS_TEST_TMPDIR" -name 'out.*')" ""
  run dump -o "$BATS_TEST_TMPDIR/no/such/folder" "$CACHE"
  assert_equal "$status" 8
  run dump -o "$BATS_TEST_TMPDIR" "$CACHE"
  assert_equal "$status" 8
  run dump --csv -o /dev/full "$CACHE"
  assert_equal "$status" 8
  run dump --csv -o /dev/stdout "$CACHE"
  assert_line --index 0 "index,sector,seq,state"
}

@test "wc-dump: neither -o nor --image writes over the cache or the origin" {
  mixed_image
  ln -s "$CACHE" "$BATS_TEST_TMPDIR/link"
  ln "$ORIGIN" "$BATS_TEST_TMPDIR/hard"
  local before word target
  before=$(checksum "$CACHE" "$ORIGIN")
  for word in -o --image; do
    for target in "$CACHE" "$ORIGIN" "$BATS_TEST_TMPDIR/link" "$BATS_TEST_TMPDIR/hard"; do
      run --separate-stderr dump "$word" "$target" --origin "$ORIGIN" "$CACHE"
      assert_equal "$status" 8
      [[ "$stderr" == *"overwrite"* ]] || fail "$stderr"
    done
  done
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
}

@test "wc-dump: damaged metadata are dumped as they are, with 4" {
  mixed_image
  local offset
  for offset in 0 4 8 16; do # magic, version, block_size, n_blocks
    cp "$CACHE" "$BATS_TEST_TMPDIR/bad.img"
    printf '\x77\x77\x77\x77' | dd of="$BATS_TEST_TMPDIR/bad.img" bs=1 seek="$offset" conv=notrunc status=none
    run --separate-stderr dump "$BATS_TEST_TMPDIR/bad.img"
    assert_equal "$offset $status" "$offset 4"
    assert_output --partial superblock
    [[ "$stderr" == *": bad-"* || "$stderr" == *": area-too-small"* ]] || fail "$stderr"
    run_json dump --json --entries=all "$BATS_TEST_TMPDIR/bad.img"
    assert_equal "$status" 4
    assert_schema wc-dump "$JSON"
    for word in --csv --map --block=0; do
      run --separate-stderr dump "$word" "$BATS_TEST_TMPDIR/bad.img"
      assert_equal "$word $status $output" "$word 12 "
    done
    # The evidence can be saved all the same.
    rm -f "$BATS_TEST_TMPDIR/saved"
    run --separate-stderr dump --image "$BATS_TEST_TMPDIR/saved" "$BATS_TEST_TMPDIR/bad.img"
    assert_equal "$offset $status" "$offset 4"
    run cmp -n $((64 + 16 * 300)) "$BATS_TEST_TMPDIR/saved" "$BATS_TEST_TMPDIR/bad.img"
    assert_success
  done
  # A zeroed superblock over a full cache is no blank device.
  dd if=/dev/zero of="$CACHE" bs=64 count=1 conv=notrunc status=none
  run --separate-stderr dump "$CACHE"
  assert_equal "$status" 4
  [[ "$stderr" == *zeroed-superblock* ]] || fail "$stderr"
}

@test "wc-dump: what is no writecache is refused with 8" {
  head -c 1M /dev/zero >"$BATS_TEST_TMPDIR/zeros"
  head -c 63 /dev/zero >"$BATS_TEST_TMPDIR/tiny"
  yes 'no cache' | head -c 1M >"$BATS_TEST_TMPDIR/text"
  local name
  for name in zeros tiny text; do
    run --separate-stderr dump "$BATS_TEST_TMPDIR/$name"
    assert_equal "$name $status $output" "$name 8 "
    [[ "$stderr" == *"not a writecache"* ]] || fail "$stderr"
    run_json dump --json --entries "$BATS_TEST_TMPDIR/$name"
    assert_schema wc-dump "$JSON"
    assert_equal "$(json 'j["error"]["code"]')" not-a-cache
  done
}

@test "wc-dump: command lines that make no sense are 16" {
  mixed_image
  local words
  while read -r words; do
    # shellcheck disable=SC2086  # words are words
    run --separate-stderr dump $words --origin "$ORIGIN" "$CACHE"
    assert_equal "$words: $status $output" "$words: 16 "
  done <<'EOF'
--entries=
--entries=lively
--entries=live,
--entries=live,,stale
--entries=LIVE
--entries=all,live
--entries --sort=size
--sort=index
--json --csv
--json --map
--json --block 1
--json --read 0
--csv --map
--block 1 --map
--block 1 --read 0
--block -1
--block 18446744073709551616
--block 1K
--read 1+
--read +1
--read 0+0
--read -1
--read 18014398509481984
--read 1+18014398509481984
--read 18446744073709551615+2
--map=gif
--memory 7M
--memory 18446744073709551616
--image x -o y
EOF
  run dump --read 0 "$CACHE"
  assert_equal "$status" 16
  assert_output --partial "--origin"
}

@test "wc-dump: sorting in the least memory gives the same" {
  mixed_image
  run diff <(dump --entries=all --sort=sector --memory 8M "$CACHE") <(dump --entries=all --sort=sector "$CACHE")
  assert_success
}

@test "wc-dump: a reader that goes away ends the listing with a quiet 8" {
  mixed_image
  run bash -c '{ wc-dump --entries=all --csv "$1" 2>"$2/err"; echo $? >"$2/code"; } | { sleep 1; exec <&-; }; cat "$2/err"' \
    _ "$CACHE" "$BATS_TEST_TMPDIR"
  assert_output ""
}

@test "wc-dump: --image saves what may be metadata where the superblock does not tell" {
  local recipe
  for recipe in zeroed-superblock bad-magic bad-block-size bad-n-blocks; do
    make_images "$recipe"
    rm -f "$BATS_TEST_TMPDIR/meta.img"
    run wc-dump --image "$BATS_TEST_TMPDIR/meta.img" "$CACHE"
    assert_failure 4
    assert_equal "$(stat -c %s "$BATS_TEST_TMPDIR/meta.img")" "$(stat -c %s "$CACHE")"
    assert_equal "$(wc-check "$BATS_TEST_TMPDIR/meta.img" 2>&1 | sed "s,$BATS_TEST_TMPDIR/meta.img,$CACHE,")" \
      "$(wc-check "$CACHE" 2>&1)"
  done
  truncate -s 0 "$CACHE"
  truncate -s 4M "$CACHE"
  run wc-dump --image "$BATS_TEST_TMPDIR/blank.img" "$CACHE"
  assert_failure 8
}
