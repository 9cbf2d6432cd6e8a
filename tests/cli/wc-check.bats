#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# wc-check on real images: every finding code, its prediction, its repair, and the way back.
# bats and common.bash assign status, output, stderr, lines, stderr_text; other files read JSON.
# shellcheck disable=SC2154,SC2034,SC2030,SC2031
bats_require_minimum_version 1.5.0
load common.bash

check() {
  timeout -k 5 60 wc-check "$@"
}

# looks RECIPE STATUS OUTCOME VERDICT CODES [WORD...]: check without repair; CODES as in "bad-magic stale".
looks() {
  local recipe=$1 expected=$2 outcome=$3 verdict=$4 codes=$5
  shift 5
  make_images "$recipe"
  WORDS=("$@")
  # The origin is part of the check where the recipe is about it.
  [ "$recipe" != beyond-origin ] || WORDS+=(--origin "$ORIGIN")
  BEFORE=$(checksum "$CACHE")
  run_json check --json "${WORDS[@]}" "$CACHE"
  no_sanitizer_report "$stderr_text"
  assert_schema wc-check "$JSON"
  assert_equal "$status" "$expected"
  assert_equal "$(json '" ".join(sorted(f["code"] for f in j["findings"]))')" "$codes"
  assert_equal "$(json 'j["activation"]["outcome"]')" "$outcome"
  assert_equal "$(json 'j["verdict"]')" "$verdict"
  assert_equal "$(json 'j["corrected"]')" 0
  assert_equal "$(checksum "$CACHE")" "$BEFORE"
  # The text says the same and has a last sentence.
  run check "${WORDS[@]}" "$CACHE"
  assert_equal "$status" "$expected"
  local code
  for code in $codes; do assert_output --partial "$code"; done
  if [ "$expected" -eq 4 ]; then assert_line --partial "Do not activate"; fi
}

# repairs [WORD...]: after looks: -y with an undo file is 1, the next check 0, and the undo file gives the image back.
repairs() {
  UNDO="$BATS_TEST_TMPDIR/undo"
  run_json check --json -y --undo "$UNDO" "${WORDS[@]}" "$@" "$CACHE"
  no_sanitizer_report "$stderr_text"
  assert_schema wc-check "$JSON"
  assert_equal "$status" 1
  assert_equal "$(json 'j["verdict"]')" repaired
  assert_equal "$(json 'j["activation"]["outcome"]')" loads
  [ "$(json 'j["corrected"]')" -gt 0 ] || fail "nothing corrected"
  REPAIRED=$(checksum "$CACHE")
  [ "$REPAIRED" != "$BEFORE" ] || fail "the image is as it was"
  run check "${WORDS[@]}" "$CACHE"
  assert_success
  # Running it again changes nothing.
  run check -y --no-undo "${WORDS[@]}" "$CACHE"
  assert_success
  assert_equal "$(checksum "$CACHE")" "$REPAIRED"
}

reverts() {
  run_json check --json --apply-undo "$UNDO" "$CACHE"
  assert_equal "$status" 1
  assert_schema wc-check "$JSON"
  assert_equal "$(checksum "$CACHE")" "$BEFORE"
}

# refuses_repair: -y cannot help: 4, and nothing changed.
refuses_repair() {
  run check -y --undo "$BATS_TEST_TMPDIR/undo" "${WORDS[@]}" "$CACHE"
  assert_equal "$status" 4
  assert_equal "$(checksum "$CACHE")" "$BEFORE"
  assert_file_not_exist "$BATS_TEST_TMPDIR/undo"
}

@test "wc-check: a clean cache is 0, and safe" {
  looks clean 0 loads clean ""
  run check "$CACHE"
  assert_line --partial "safe to activate"
  run check -y --undo "$BATS_TEST_TMPDIR/undo" "$CACHE"
  assert_success
  assert_equal "$(checksum "$CACHE")" "$BEFORE"
  # An undo file with nothing in it does not stay behind.
  assert_file_not_exist "$BATS_TEST_TMPDIR/undo"
}

@test "wc-check: an empty cache is 0" {
  looks empty 0 loads clean ""
}

@test "wc-check: uncommitted" {
  looks uncommitted 0 loads clean "uncommitted"
  assert_equal "$(json 'j["counts"]["uncommitted"], j["activation"]["frees_entries"], j["findings"][0]["entries"]')" \
    "(2, 2, [50, 51])"
  repairs
  reverts
}

@test "wc-check: stale" {
  looks stale 0 loads clean "stale"
  assert_equal "$(json 'j["counts"]["stale"]')" 2
  repairs
  reverts
}

@test "wc-check: -p frees uncommitted and stale entries, with and without an undo file" {
  local recipe
  for recipe in uncommitted stale; do
    looks "$recipe" 0 loads clean "$recipe"
    run check -p --undo "$BATS_TEST_TMPDIR/undo.$recipe" "$CACHE"
    assert_equal "$status" 1
    run_json check --json "$CACHE"
    assert_equal "$(json 'len(j["findings"])')" 0
    run check --apply-undo "$BATS_TEST_TMPDIR/undo.$recipe" "$CACHE"
    assert_equal "$status" 1
    assert_equal "$(checksum "$CACHE")" "$BEFORE"
    run check -p "$CACHE"
    assert_equal "$status" 1
  done
}

@test "wc-check: -p leaves errors alone and says 4" {
  local recipe
  for recipe in bad-magic zeroed-superblock identical-data-different misaligned future; do
    make_images "$recipe"
    BEFORE=$(checksum "$CACHE")
    run check -p "$CACHE"
    assert_equal "$recipe $status" "$recipe 4"
    assert_equal "$(checksum "$CACHE")" "$BEFORE"
    [[ "$output" == *"Do not activate it: "*" -p changed nothing"* ]] || fail "$output"
    run check "$CACHE"
    assert_equal "$status" 4
  done
}

@test "wc-check: spare-room" {
  looks spare-room 0 loads clean "spare-room"
  run check -y --no-undo "$CACHE"
  assert_success
  assert_equal "$(checksum "$CACHE")" "$BEFORE"
}

@test "wc-check: pad-not-zero" {
  looks pad-not-zero 0 loads clean "pad-not-zero"
  repairs
  reverts
}

@test "wc-check: blank" {
  looks blank 0 formats blank "blank"
  run check -y --no-undo "$CACHE"
  assert_success
  assert_equal "$(checksum "$CACHE")" "$BEFORE"
}

@test "wc-check: zeroed-superblock, one sector" {
  looks zeroed-sector 4 formats damaged "zeroed-superblock"
  repairs
  reverts
}

@test "wc-check: zeroed-superblock, the 4 KiB that LVM wipes" {
  looks zeroed-superblock 4 formats damaged "zeroed-superblock"
  # The device's size gives one answer: the entries behind the wiped ones come back.
  repairs
  assert_equal "$(json 'j["superblock"]["n_blocks"], j["superblock"]["block_size"]')" "(300, 4096)"
  run_json check --json "$CACHE"
  assert_equal "$(json 'j["counts"]["live"]')" 40
  reverts
}

@test "wc-check: interrupted-format" {
  looks interrupted-format 4 refuses damaged "interrupted-format"
  assert_equal "$(json 'j["activation"]["driver_message"]')" "Invalid magic in the superblock"
  repairs
  reverts
}

@test "wc-check: an interrupted format over data has two answers and changes nothing" {
  looks interrupted-format-with-data 4 refuses damaged "bad-magic"
  [ "$(json 'len(j["candidates"])')" -ge 2 ] || fail "no choice"
  refuses_repair
  run check -y --undo "$BATS_TEST_TMPDIR/undo" --rebuild-superblock --seq-count 10 "$CACHE"
  assert_equal "$status" 1
  run check "$CACHE"
  assert_success
  run check --apply-undo "$BATS_TEST_TMPDIR/undo" "$CACHE"
  assert_equal "$(checksum "$CACHE")" "$BEFORE"
}

@test "wc-check: bad-magic" {
  looks bad-magic 4 refuses damaged "bad-magic"
  assert_equal "$(json 'j["findings"][0]["driver_message"]')" "Invalid magic in the superblock"
  repairs
  reverts
}

@test "wc-check: bad-version" {
  looks bad-version 4 refuses damaged "bad-version"
  assert_equal "$(json 'j["activation"]["driver_message"]')" "Invalid version in the superblock"
  repairs
  reverts
}

@test "wc-check: bad-block-size" {
  looks bad-block-size 4 refuses damaged "bad-block-size"
  assert_equal "$(json 'j["activation"]["driver_message"]')" "Block size does not match superblock"
  repairs
  assert_equal "$(json 'j["superblock"]["block_size"]')" 4096
  reverts
}

@test "wc-check: block-size-mismatch" {
  looks block-size-mismatch 4 refuses damaged "block-size-mismatch" --block-size 512
  assert_equal "$(json 'j["activation"]["driver_message"]')" "Block size does not match superblock"
  # The entries say 4096: it is the table line that is wrong, and a repair must not make it worse.
  refuses_repair
  run check --block-size 4096 "$CACHE"
  assert_success
}

@test "wc-check: bad-n-blocks" {
  looks bad-n-blocks 4 refuses damaged "bad-n-blocks"
  assert_equal "$(json 'j["activation"]["driver_message"]')" "Cannot allocate memory"
  repairs
  assert_equal "$(json 'j["superblock"]["n_blocks"]')" 300
  reverts
}

@test "wc-check: area-too-small, a wrong number of blocks" {
  looks area-too-small 4 refuses damaged "area-too-small"
  assert_equal "$(json 'j["activation"]["driver_message"]')" "Memory area is too small"
  repairs
  reverts
}

@test "wc-check: area-too-small, an image that was cut" {
  looks area-cut 4 refuses damaged "area-too-small"
  assert_equal "$(json 'j["activation"]["driver_message"]')" "Memory area is too small"
}

@test "wc-check: future, dropped" {
  looks future 4 loads damaged "future"
  assert_equal "$(json 'j["counts"]["future"], j["activation"]["frees_entries"]')" "(2, 2)"
  repairs
  assert_equal "$(json 'j["superblock"]["seq_count"], j["counts"]["future"]')" "(10, 0)"
  reverts
}

@test "wc-check: future, committed" {
  looks future 4 loads damaged "future"
  local live
  live=$(json 'j["counts"]["live"]')
  repairs --future=commit
  assert_equal "$(json 'j["superblock"]["seq_count"] > 1000, j["counts"]["live"]')" "(True, $((live + 2)))"
  reverts
}

@test "wc-check: identical, equal data" {
  looks identical-data-equal 4 loads-with-error damaged "identical"
  assert_equal "$(json 'j["counts"]["identical"]')" 2
  assert_equal "$(json 'j["activation"]["driver_message"]')" "two identical entries, position 60, sector 3200, sequence 5"
  repairs
  reverts
}

@test "wc-check: identical, different data: the higher index wins, the other block is in the undo file" {
  looks identical-data-different 4 loads-with-error damaged "identical"
  "${PYTHON[@]}" "$RECIPES" --merged "$CACHE" "$ORIGIN" "$BATS_TEST_TMPDIR/merged.before"
  local offset=$((((64 + 16 * 300 + 4095) / 4096 + 50) * 4096))
  dd if="$CACHE" of="$BATS_TEST_TMPDIR/block50" bs=4096 skip=$((offset / 4096)) count=1 status=none
  repairs
  "${PYTHON[@]}" "$RECIPES" --merged "$CACHE" "$ORIGIN" "$BATS_TEST_TMPDIR/merged.after"
  run cmp "$BATS_TEST_TMPDIR/merged.before" "$BATS_TEST_TMPDIR/merged.after"
  assert_success
  run "${PYTHON[@]}" -c 'import sys; sys.exit(open(sys.argv[1], "rb").read() not in open(sys.argv[2], "rb").read())' \
    "$BATS_TEST_TMPDIR/block50" "$UNDO"
  assert_success
  reverts
}

@test "wc-check: misaligned" {
  looks misaligned 4 loads damaged "misaligned"
  repairs
  reverts
}

@test "wc-check: out-of-range" {
  make_images out-of-range
  run_json check --json "$CACHE"
  assert_equal "$status" 4
  assert_equal "$(json '"out-of-range" in [f["code"] for f in j["findings"]]')" True
  BEFORE=$(checksum "$CACHE")
  WORDS=()
  repairs
  reverts
}

@test "wc-check: beyond-origin, only with the origin" {
  looks beyond-origin 4 loads damaged "beyond-origin"
  assert_equal "$(json 'j["counts"]["beyond_origin"]')" 2
  run check "$CACHE"
  assert_success
  repairs
  reverts
}

@test "wc-check: sequence-exhausted is renumbered, the content stays" {
  looks sequence-exhausted 4 loads damaged "sequence-exhausted uncommitted"
  "${PYTHON[@]}" "$RECIPES" --merged "$CACHE" "$ORIGIN" "$BATS_TEST_TMPDIR/merged.before"
  repairs
  "${PYTHON[@]}" "$RECIPES" --merged "$CACHE" "$ORIGIN" "$BATS_TEST_TMPDIR/merged.after"
  run cmp "$BATS_TEST_TMPDIR/merged.before" "$BATS_TEST_TMPDIR/merged.after"
  assert_success
  reverts
}

@test "wc-check: usage errors are 16 and touch nothing" {
  make_images uncommitted
  local before line
  before=$(checksum "$CACHE")
  while read -r line; do
    local words
    read -ra words <<<"$line"
    run check "${words[@]}" "$CACHE"
    assert_equal "$line: $status" "$line: 16"
  done <<EOF
-y
-n -y --no-undo
-n -p
-p -y --no-undo
--undo u
--no-undo
-n --undo u
-y --undo u --no-undo
--apply-undo u -y --no-undo
--apply-undo u -n
--block-size 1000
--block-size 256
--block-size 131072
--memory 1M
--memory -1
--future=maybe
--blocks 5
--seq-count 5
--rebuild-superblock --blocks 0
--rebuild-superblock -p
--superblock-only -y --no-undo
--origin-start-sector 1
EOF
  assert_equal "$(checksum "$CACHE")" "$before"
  assert_file_not_exist u
}

@test "wc-check: --superblock-only does not look at entries" {
  make_images identical-data-different
  run check --superblock-only "$CACHE"
  assert_success
  make_images bad-magic
  run check --superblock-only "$CACHE"
  assert_equal "$status" 4
}

@test "wc-check: an undo file that is the device, a directory, or of another cache is refused" {
  make_images uncommitted
  local before
  before=$(checksum "$CACHE")
  run --separate-stderr check -y --undo "$CACHE" "$CACHE"
  assert_equal "$status" 8
  ln -s "$CACHE" "$BATS_TEST_TMPDIR/link"
  run check -y --undo "$BATS_TEST_TMPDIR/link" "$CACHE"
  assert_equal "$status" 8
  run check -y --undo "$BATS_TEST_TMPDIR" "$CACHE"
  assert_equal "$status" 8
  run check -y --undo "$BATS_TEST_TMPDIR/no/such/folder" "$CACHE"
  assert_equal "$status" 8
  run check --apply-undo "$BATS_TEST_TMPDIR/missing" "$CACHE"
  assert_equal "$status" 8
  run check --apply-undo "$CACHE" "$CACHE"
  assert_equal "$status" 8
  run --separate-stderr check --apply-undo "$ORIGIN" "$CACHE"
  assert_equal "$status" 8
  [[ "$stderr" == "wc-check: $ORIGIN: "* ]] || fail "$stderr"
  run check -y --undo /dev/full "$CACHE"
  assert_equal "$status" 8
  assert_equal "$(checksum "$CACHE")" "$before"
}

@test "wc-check: an undo file that is cut anywhere restores a part or is refused, never garbage" {
  make_images identical-data-different
  cp "$CACHE" "$BATS_TEST_TMPDIR/original"
  check -y --undo "$BATS_TEST_TMPDIR/undo" "$CACHE" >/dev/null || true
  cp "$CACHE" "$BATS_TEST_TMPDIR/repaired"
  local size cut
  size=$(stat -c %s "$BATS_TEST_TMPDIR/undo")
  for cut in 0 1 17 $((size / 3)) $((size / 2)) $((size - 1)); do
    cp "$BATS_TEST_TMPDIR/repaired" "$CACHE"
    head -c "$cut" "$BATS_TEST_TMPDIR/undo" >"$BATS_TEST_TMPDIR/cut"
    run --separate-stderr check --apply-undo "$BATS_TEST_TMPDIR/cut" "$CACHE"
    no_sanitizer_report "$stderr"
    "${PYTHON[@]}" - "$BATS_TEST_TMPDIR/original" "$BATS_TEST_TMPDIR/repaired" "$CACHE" <<'EOF' || fail "cut at $cut: foreign bytes"
import sys
original, repaired, now = (open(name, "rb").read() for name in sys.argv[1:])
assert len(original) == len(now)
assert all(n in (o, r) for o, r, n in zip(original, repaired, now))
EOF
  done
}

@test "wc-check: the repair of a file system that is full is 8 and can be run again" {
  [ "$(id -u)" -eq 0 ] || skip "needs root to mount a small tmpfs"
  make_images identical-data-different
  mkdir "$BATS_TEST_TMPDIR/small"
  mount -t tmpfs -o size=4k none "$BATS_TEST_TMPDIR/small" 2>/dev/null || skip "mount does not work here"
  head -c 4096 /dev/zero >"$BATS_TEST_TMPDIR/small/filler" || true
  local before
  before=$(checksum "$CACHE")
  run --separate-stderr check -y --undo "$BATS_TEST_TMPDIR/small/undo" "$CACHE"
  umount "$BATS_TEST_TMPDIR/small"
  assert_equal "$status" 8
  [[ "$stderr" == *"No space left"* ]] || fail "$stderr"
  assert_equal "$(checksum "$CACHE")" "$before"
  run check -y --undo "$BATS_TEST_TMPDIR/undo" "$CACHE"
  assert_equal "$status" 1
}

@test "wc-check: --rebuild-superblock without -y shows what fits and writes nothing" {
  make_images zeroed-superblock
  local before
  before=$(checksum "$CACHE")
  run check --rebuild-superblock "$CACHE"
  assert_equal "$status" 4
  assert_line --partial "--block-size 4096 --blocks 300"
  assert_equal "$(checksum "$CACHE")" "$before"
}

# last_line RECIPE WORD...: the last line of wc-check on a fresh image of the recipe; /tmp and file names are taken out.
last_line() {
  make_images "$1"
  shift
  local text
  text=$(check "$@" "$CACHE" 2>/dev/null) || true
  text=${text##*$'\n'}
  text=${text//$BATS_TEST_TMPDIR\//}
  echo "$text"
}

# Every finding on its own: without a repair, with -p, with -y. A sentence of more than one mode is written as "same".
@test "wc-check: the last line says whether it is safe to activate and what to do, for every finding and mode" {
  local repair="repair it with \`wc-check -y --undo FILE cache.img\`."
  local loses="Do not activate it: activation loses data or destroys the evidence; $repair"
  local unchecked="; whether its blocks lie within the origin was not checked (--origin ORIGIN)."
  local safe="This cache is safe to activate$unchecked"
  local residue="This cache is safe to activate; what the driver frees then is normal residue of a crash$unchecked"
  local corrected="Corrected: this cache is safe to activate now$unchecked"
  local bare="Corrected: this cache is safe to activate now."
  local future="Do not activate it: entries are newer than the superblock; \`wc-check -y --undo FILE cache.img\` frees them"
  future+=" as activation would, \`wc-check -y --undo FILE --future=commit cache.img\` keeps them."
  local choose="Do not activate it: more than one superblock fits, so nothing was changed; choose one with \`wc-check -y --undo"
  choose+=" FILE --rebuild-superblock --block-size N --blocks N --seq-count N cache.img\`."
  local size="Do not activate it: more blocks are named than the device holds; if it was larger give it back its size first,"
  size+=" else the number is wrong and \`wc-check -y --undo FILE cache.img\` corrects it."
  local unfinished="Do not activate it: a format was not finished, and nothing is in the cache; finish it with \`wc-check -y --undo FILE cache.img\`."
  local blank="Blank: the driver formats it at activation; nothing is lost if nothing was ever cached here."
  local recipe none preen all
  while IFS='|' read -r recipe none preen all; do
    [ "$preen" != same ] || preen=$none
    [ "$all" != same ] || all=$preen
    [[ "$preen" != "Do not activate it: "* ]] || preen+=" -p changed nothing: it leaves a cache with an error alone."
    assert_equal "$recipe: $(last_line "$recipe")" "$recipe: $none"
    assert_equal "$recipe -p: $(last_line "$recipe" -p)" "$recipe -p: $preen"
    assert_equal "$recipe -y: $(last_line "$recipe" -y --no-undo)" "$recipe -y: $all"
  done <<EOF
clean|$safe|same|same
empty|This cache is safe to activate.|same|same
uncommitted|$residue|$corrected|same
stale|$residue|$corrected|same
spare-room|$safe|same|same
pad-not-zero|$safe|same|$corrected
blank|$blank|same|same
zeroed-sector|$loses|same|$corrected
zeroed-superblock|$loses|same|$corrected
interrupted-format|$unfinished|same|$bare
interrupted-format-with-data|$choose|same|same
bad-magic|$loses|same|$corrected
bad-version|$loses|same|$corrected
bad-block-size|$loses|same|$corrected
bad-n-blocks|$loses|same|$corrected
area-too-small|$size|same|$corrected
area-cut|$size|same|$corrected
future|$future|same|$corrected
identical-data-equal|$loses|same|$corrected
identical-data-different|$loses|same|$corrected
misaligned|$loses|same|$corrected
out-of-range|$loses|same|$corrected
sequence-exhausted|$loses|same|$corrected
EOF
  # Every recipe is in the list, but for those that need more words.
  assert_equal "$("${PYTHON[@]}" "$RECIPES" --list | wc -l)" 25
}

@test "wc-check: the last line with more words: origin, start sector, block size, undo, superblock only" {
  # The commands it names can be pasted: they have the places of cache and origin.
  make_images uncommitted
  { head -c 4096 /dev/zero; cat "$CACHE"; } >"$BATS_TEST_TMPDIR/it is.img"
  cd "$BATS_TEST_TMPDIR"
  run check --start-sector 8 --origin origin.img "it is.img"
  assert_equal "${lines[-1]}" "This cache is safe to activate; what the driver frees then is normal residue of a crash."
  run check -y --undo u --start-sector 8 --origin origin.img "it is.img"
  assert_equal "${lines[-1]}" \
    "Corrected: this cache is safe to activate now. \`wc-check --apply-undo u --start-sector 8 --origin origin.img 'it is.img'\` takes the repair back."
  run check --apply-undo u --start-sector 8 --origin origin.img "it is.img"
  assert_equal "${lines[-1]}" \
    "The cache is as it was before the repair: run \`wc-check --start-sector 8 --origin origin.img 'it is.img'\` before you activate it."
  run check --superblock-only --start-sector 8 "it is.img"
  assert_equal "${lines[-1]}" \
    "The superblock is sound, but the entries were not looked at: run \`wc-check --start-sector 8 'it is.img'\` before you activate it."
  make_images beyond-origin
  run check --origin origin.img cache.img
  assert_equal "${lines[-1]}" \
    "Do not activate it: blocks belong behind the end of this origin; look whether it is the right one and has its full \
size, and only if they may be lost free them with \`wc-check -y --undo FILE --origin origin.img cache.img\`."
  make_images clean
  run check --block-size 512 cache.img
  assert_equal "${lines[-1]}" "Do not activate it: the block size of the table line is not the superblock's; with 4096 the cache can be activated."
  run check -y --no-undo --block-size 512 cache.img
  assert_equal "${lines[-1]}" "Do not activate it: the block size of the table line is not the superblock's; with 4096 the cache can be activated."
  make_images misaligned
  run check --block-size 512 cache.img
  assert_equal "${lines[-1]}" "Do not activate it: the block size of the table line is not the superblock's, and there is more; \
look again with \`wc-check --block-size 4096 cache.img\`."
  head -c 100 /dev/zero >tiny.img
  run check tiny.img
  assert_equal "${lines[-1]}" \
    "Do not activate it: the device is too small for a cache; look whether it is the right one, and the right --start-sector."
  # A sound cache of a machine with larger pages.
  truncate -s 4M large.img
  wc-format -q --force --block-size 65536 large.img
  run check large.img
  if [ "$(getconf PAGESIZE)" -lt 65536 ]; then
    assert_equal "${lines[-1]}" \
      "The cache is sound, but the driver of this machine refuses blocks of 65536 bytes: activate it where pages are that \
large, or drain it here with \`wc-flush\`."
  fi
}

@test "wc-check: --explain takes a line, or lines from standard input, and says what is not understood with 8" {
  run --separate-stderr wc-check --explain \
    '[  12.3] device-mapper: writecache: two identical entries, position 60, sector 3200, sequence 5'
  assert_success
  assert_equal "$stderr" ""
  assert_line --partial "damage that no power failure leaves"
  assert_line --regexp '^  sector +3200  .*byte 1638400'
  assert_line --partial "To do: "
  run wc-check --explain '0 131072 writecache 0 254 192 3 100 90 500 10 20 30 440 0 7 2'
  assert_success
  assert_line --partial "draining"
  run wc-check --explain '0 131072 writecache s 253:1 8:16 4096 2 high_watermark 60'
  assert_success
  assert_line --partial "wc-check --origin /dev/block/253:1 --block-size 4096 /dev/block/8:16"
  run --separate-stderr wc-check --explain 'device-mapper: writecache: never heard of'
  assert_equal "$status" 8
  [[ "$stderr" == *"not understood"* ]] || fail "$stderr"
  # A log: what has nothing to do with a writecache is passed over.
  printf '%s\n' "usb 1-1: copy error" "$(printf 'x%.0s' {1..9000})" \
    "device-mapper: table: 253:2: writecache: Invalid magic in the superblock (-EINVAL)" "" \
    "  WARNING: writecache on vg/main is not complete and cannot be flushed." >"$BATS_TEST_TMPDIR/log"
  run --separate-stderr wc-check --explain - <"$BATS_TEST_TMPDIR/log"
  assert_success
  assert_equal "$(grep -c '^> ' <<<"$output")" 2
  run_json wc-check --json --explain - <"$BATS_TEST_TMPDIR/log"
  assert_equal "$status" 0
  "${PYTHON[@]}" "$ROOT/tests/cli/validate.py" "$ROOT/doc/schemas/writecache.explain-1.json" "$JSON"
  assert_equal "$(json '[(l["kind"], l["source"]) for l in j["lines"]]')" "[('message', 'kernel'), ('message', 'lvm')]"
  run_json wc-check --json --explain "nothing of ours"$'\x01'
  assert_equal "$status" 8
  "${PYTHON[@]}" "$ROOT/tests/cli/validate.py" "$ROOT/doc/schemas/writecache.explain-1.json" "$JSON"
  assert_equal "$(json 'j["lines"][0]["kind"]')" unknown
  run wc-check --explain - </dev/null
  assert_equal "$status" 8
  run bash -c 'yes "writecache: copy error" | head -n 3000 | wc-check --explain - 2>&1 | tail -n 1'
  assert_output "wc-check: only the first 1000 lines are explained"
  run bash -c 'head -c 3000000 /dev/urandom | timeout 20 wc-check --explain - >/dev/null 2>&1; echo $?'
  assert_output 8
  local line
  for line in "--explain x cache" "--explain=x -y --no-undo" "--explain x --apply-undo u"; do
    local words
    read -ra words <<<"$line"
    run wc-check "${words[@]}"
    assert_equal "$line: $status" "$line: 16"
  done
}

@test "wc-check: entries of another block size than the one given are no blank device" {
  make_images zeroed-superblock
  run wc-check --block-size 512 "$CACHE"
  assert_failure 4
  assert_output --partial "zeroed-superblock"
  assert_output --partial "do not fit the block size"
  run wc-check -y --undo "$BATS_TEST_TMPDIR/u" --block-size 512 "$CACHE"
  assert_failure 4
}

# The gap between the entries and the data is zeros, and read as an entry it would be block 0 of the origin.
@test "wc-check: a superblock that is rebuilt on a larger device does not count the gap behind the entries" {
  "${PYTHON[@]}" - "$ROOT/tests/images" "$BATS_TEST_TMPDIR" <<'EOF'
import sys
sys.path.insert(0, sys.argv[1])
import cacheimage
image = cacheimage.Image()
for index in range(0, image.n_blocks, 3):
    image.entry(index, 8 * (index + 1), 3, bytes([index % 251 + 1]) * 4096)
image.write(sys.argv[2] + "/cache.img")
print(image.n_blocks)
EOF
  CACHE="$BATS_TEST_TMPDIR/cache.img"
  local blocks before
  blocks=$(wc-dump --json "$CACHE" | sed -n 's/^ *"n_blocks": \([0-9]*\),$/\1/p')
  before=$(wc-dump --entries=live --csv "$CACHE" | sha256sum)
  dd if=/dev/zero of="$CACHE" bs=64 count=1 conv=notrunc status=none
  head -c 3M /dev/urandom >>"$CACHE"
  run wc-check -y --undo "$BATS_TEST_TMPDIR/u" --block-size 4096 "$CACHE"
  assert_failure 1
  assert_equal "$(wc-dump --json "$CACHE" | sed -n 's/^ *"n_blocks": \([0-9]*\),$/\1/p')" "$blocks"
  assert_equal "$(wc-dump --entries=live --csv "$CACHE" | sha256sum)" "$before"
}
