#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2154,SC2034  # bats assigns and reads them
# --lvm of wc-check, wc-dump and wc-flush, with an `lvs` and a `pvs` in PATH that print what a file says. The cache and
# the origin are ranges of two images, as they would be of physical volumes. tests/vm/lvm.py does it with LVM itself.
load common

EXTENT=8  # sectors
CACHE_EXTENT=3
ORIGIN_EXTENT=5
PE_START=16

setup() {
  make_images uncommitted
  FAST="$BATS_TEST_TMPDIR/fast.img"
  SLOW="$BATS_TEST_TMPDIR/slow.img"
  place "$CACHE" "$FAST" $((PE_START + CACHE_EXTENT * EXTENT))
  place "$ORIGIN" "$SLOW" $((PE_START + ORIGIN_EXTENT * EXTENT))
  CACHE_SECTORS=$(($(stat -c %s "$CACHE") / 512))
  ORIGIN_SECTORS=$(($(stat -c %s "$ORIGIN") / 512))
  mkdir "$BATS_TEST_TMPDIR/bin"
  PATH="$BATS_TEST_TMPDIR/bin:$PATH"
  export LVS_SAYS="$BATS_TEST_TMPDIR/lvs.json" PVS_SAYS="$BATS_TEST_TMPDIR/pvs.json"
  # The environment is cleaned, so the programs know their files by name.
  program lvs "env >'$BATS_TEST_TMPDIR/env'; echo \"\$*\" >'$BATS_TEST_TMPDIR/words'; cat '$LVS_SAYS'"
  program pvs "cat '$PVS_SAYS'"
  report
}

program() {
  printf '#!/bin/sh\n%s\n' "$2" >"$BATS_TEST_TMPDIR/bin/$1"
  chmod +x "$BATS_TEST_TMPDIR/bin/$1"
}

# place IMAGE DISK SECTOR: the image inside a disk, with something else before and behind it.
place() {
  head -c $(($3 * 512)) /dev/urandom >"$2"
  cat "$1" >>"$2"
  head -c 65536 /dev/urandom >>"$2"
}

# row NAME ACTIVE SIZE TYPE START LENGTH DEVICES [POOL ORIGIN]
row() {
  printf '{"vg_name":"vg", "lv_name":"%s", "lv_active":"%s", "lv_size":"%s", "segtype":"%s", "stripes":"1", "seg_start":"%s", ' "${@:1:5}"
  printf '"seg_size":"%s", "devices":"%s", "pool_lv":"%s", "origin":"%s", "writecache_block_size":"%s", "vg_extent_size":"%s"}' \
    "$6" "$7" "${8-}" "${9-}" "${BLOCK_SIZE-4096}" "$EXTENT"
}

# report [ACTIVE [CVOL-ROWS [ORIGIN-ROWS]]]: what both programs print.
report() {
  local cache origin
  cache=$(row '[fast_cvol]' '' "$CACHE_SECTORS" linear 0 "$CACHE_SECTORS" "$FAST($CACHE_EXTENT)")
  origin=$(row '[data_wcorig]' '' "$ORIGIN_SECTORS" linear 0 "$ORIGIN_SECTORS" "$SLOW($ORIGIN_EXTENT)")
  printf '{"report": [{"lv": [%s, %s, %s, %s]}]}\n' \
    "$(row data "${1-}" "$ORIGIN_SECTORS" writecache 0 "$ORIGIN_SECTORS" 'data_wcorig(0)' '[fast_cvol]' '[data_wcorig]')" \
    "${2:-$cache}" "${3:-$origin}" "$(row plain '' 8 linear 0 8 "$SLOW(0)")" >"$LVS_SAYS"
  printf '{"report": [{"pv": [{"vg_name":"vg", "pv_name":"%s", "pe_start":"%s"}, {"vg_name":"vg", "pv_name":"%s", "pe_start":"%s"}]}]}\n' \
    "$FAST" "$PE_START" "$SLOW" "$PE_START" >"$PVS_SAYS"
}

# refuses WORDS...: all three commands end with 8, say it, print an error under --json, and change nothing.
refuses() {
  local before tool word
  before=$(checksum "$FAST" "$SLOW")
  for tool in wc-check 'wc-check -y --no-undo' wc-dump wc-flush; do
    # shellcheck disable=SC2086
    run $tool --lvm vg/data
    assert_failure 8
    for word in "$@"; do assert_output --partial "$word"; done
  done
  JSON="$BATS_TEST_TMPDIR/out.json"
  wc-check --json --lvm vg/data >"$JSON" 2>/dev/null || true
  json 'j["error"]["code"]'
  assert_equal "$(checksum "$FAST" "$SLOW")" "$before"
}

@test "--lvm: wc-check finds the cache, the origin and the block size" {
  run wc-check -v --lvm vg/data
  assert_success
  assert_output --partial "$FAST"
  assert_output --partial '2 uncommitted'
  refute_output --partial spare-room
  run cat "$BATS_TEST_TMPDIR/words"
  assert_output --regexp '^-a -o vg_name,.* --reportformat json --units s --nosuffix vg$'
}

@test "--lvm: the program of LVM gets a clean environment" {
  SECRET=1 LVM_SYSTEM_DIR=/nowhere run wc-check --lvm vg/data
  assert_success
  run cut -d= -f1 "$BATS_TEST_TMPDIR/env"
  refute_line SECRET
  refute_line LVS_SAYS
  assert_line LVM_SYSTEM_DIR
  assert_line LC_ALL
}

@test "--lvm: entries behind the volume are found although the disk goes on" {
  ORIGIN_SECTORS=4
  ORIGIN_SECTORS=$((400 * 4))
  report
  run wc-check --lvm vg/data
  assert_failure 4
  assert_output --partial beyond-origin
  assert_output --partial 'wc-check -y --undo FILE --lvm vg/data'
}

@test "--lvm: a block size that LVM would not use is found" {
  BLOCK_SIZE=2048 report
  run wc-check --lvm vg/data
  assert_failure 4
  assert_output --partial block-size-mismatch
  BLOCK_SIZE=-1 report
  run wc-check --lvm vg/data
  assert_success
}

@test "--lvm: wc-dump reads what the cached volume would show" {
  "${PYTHON[@]}" "$RECIPES" --merged "$CACHE" "$ORIGIN" "$BATS_TEST_TMPDIR/expected"
  wc-dump --read "0+$ORIGIN_SECTORS" --lvm vg/data -o "$BATS_TEST_TMPDIR/merged"
  cmp "$BATS_TEST_TMPDIR/merged" "$BATS_TEST_TMPDIR/expected"
}

@test "--lvm: wc-flush drains, and touches nothing outside both volumes" {
  "${PYTHON[@]}" "$RECIPES" --merged "$CACHE" "$ORIGIN" "$BATS_TEST_TMPDIR/expected"
  place "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/slow.expected" $((PE_START + ORIGIN_EXTENT * EXTENT))
  dd if="$SLOW" of="$BATS_TEST_TMPDIR/slow.expected" bs=512 count=$((PE_START + ORIGIN_EXTENT * EXTENT)) conv=notrunc status=none
  tail -c 65536 "$SLOW" | dd of="$BATS_TEST_TMPDIR/slow.expected" bs=512 \
    seek=$((PE_START + ORIGIN_EXTENT * EXTENT + ORIGIN_SECTORS)) conv=notrunc status=none
  tail -c 65536 "$FAST" >"$BATS_TEST_TMPDIR/behind"
  run wc-flush --lvm vg/data
  assert_success
  cmp "$SLOW" "$BATS_TEST_TMPDIR/slow.expected"
  tail -c 65536 "$FAST" | cmp - "$BATS_TEST_TMPDIR/behind"
  run wc-check --lvm vg/data
  assert_success
  assert_output --partial ' 0 live'
}

@test "--lvm: an active volume is refused" {
  report active
  refuses 'vg/data: is active' 'lvchange -an vg/data'
}

@test "--lvm: an active part may be read but not written" {
  report '' "$(row '[fast_cvol]' active "$CACHE_SECTORS" linear 0 "$CACHE_SECTORS" "$FAST($CACHE_EXTENT)")"
  run wc-check --lvm vg/data
  assert_success
  run wc-flush --lvm vg/data
  assert_failure 8
  assert_output --partial 'lvchange -an vg/fast_cvol'
  run wc-check -y --no-undo --lvm vg/data
  assert_failure 8
}

@test "--lvm: a cache in two pieces is refused with the command that joins them" {
  report '' "$(row '[fast_cvol]' '' "$CACHE_SECTORS" linear 0 800 "$FAST($CACHE_EXTENT)"), $(row '[fast_cvol]' '' "$CACHE_SECTORS" \
    linear 800 $((CACHE_SECTORS - 800)) "$SLOW(900)")"
  refuses 'its cache fast_cvol lies in 2 pieces' "0 800 linear $FAST $((PE_START + CACHE_EXTENT * EXTENT)),800 "
}

@test "--lvm: an origin in two pieces stops what needs it, and nothing else" {
  report '' '' "$(row '[data_wcorig]' '' "$ORIGIN_SECTORS" linear 0 800 "$SLOW(5)"), $(row '[data_wcorig]' '' "$ORIGIN_SECTORS" \
    linear 800 $((ORIGIN_SECTORS - 800)) "$SLOW(200)")"
  run wc-check --lvm vg/data
  assert_success
  assert_output --partial 'its origin data_wcorig lies in 2 pieces'
  run wc-flush --lvm vg/data
  assert_failure 8
  assert_output --partial "dmsetup create --concise 'wc-cache,,,rw,"
  run wc-dump --read 0 --lvm vg/data
  assert_failure 8
}

@test "--lvm: a RAID origin is refused by wc-flush with what LVM can do" {
  report '' '' "$(row '[data_wcorig]' '' "$ORIGIN_SECTORS" raid1 0 "$ORIGIN_SECTORS" 'data_wcorig_rimage_0(0),data_wcorig_rimage_1(0)')"
  run wc-check --lvm vg/data
  assert_success
  run wc-flush --lvm vg/data
  assert_failure 8
  assert_output --partial 'is of type raid1'
  assert_output --partial 'lvconvert --splitcache vg/data'
}

@test "--lvm: a volume that is no cache, and one that does not exist" {
  run wc-check --lvm vg/plain
  assert_failure 8
  assert_output --partial 'vg/plain: this logical volume has no writecache'
  run wc-check --lvm vg/nothing
  assert_failure 8
  assert_output --partial 'no such logical volume'
}

@test "--lvm: without lvm2 it says what to do" {
  rm "$BATS_TEST_TMPDIR/bin/lvs"
  mkdir "$BATS_TEST_TMPDIR/only"
  ln -s "$(command -v wc-check)" "$BATS_TEST_TMPDIR/only/wc-check"
  PATH="$BATS_TEST_TMPDIR/only" run "$(command -v wc-check)" --lvm vg/data
  assert_failure 8
  assert_output --partial '`lvs` cannot be run'
  assert_output --partial 'install lvm2'
}

@test "--lvm: a failing lvs is told in its own words" {
  program lvs 'echo "  Volume group \"vg\" not found" >&2; echo "  Cannot process volume group vg" >&2; exit 5'
  refuses 'failed with status 5: Volume group "vg" not found'
  program lvs 'kill -9 $$'
  refuses 'failed with status 137'
}

@test "--lvm: a report of another form is refused" {
  echo 'WARNING: this is not JSON' >"$LVS_SAYS"
  refuses "LVM's report is not as expected"
  echo '{"report": [{"vg": []}]}' >"$LVS_SAYS"
  refuses "LVM's report is not as expected"
  report
  sed -i 's/"pe_start":"16"/"pe_start":"16.00k"/' "$PVS_SAYS"
  refuses "LVM's report is not as expected"
  report
  sed -i "s|$FAST(|[unknown](|" "$LVS_SAYS"
  refuses 'pvs does not list'
}

@test "--lvm: a program that prints without end is not waited for" {
  program lvs 'exec cat /dev/zero'
  refuses 'printed too much'
}

@test "--lvm: a part that ends behind its device is refused" {
  truncate -s $(((PE_START + CACHE_EXTENT * EXTENT) * 512 + 4096)) "$FAST"
  run wc-check --lvm vg/data
  assert_failure 8
  assert_output --partial 'ends before'
}

@test "--lvm: it takes the place of CACHE and --origin, and of nothing else" {
  local words
  for words in '--lvm vg/data cache' '--lvm vg/data --origin o' '--lvm vg/data --start-sector 8' '--lvm vg' '--lvm=' '--lvm ../x' '--lvm'; do
    # shellcheck disable=SC2086
    run wc-check $words
    assert_failure 16
    # shellcheck disable=SC2086
    run wc-flush $words
    assert_failure 16
  done
  run wc-check
  assert_failure 16
  assert_output --partial 'CACHE is required'
  run wc-flush "$CACHE"
  assert_failure 16
  assert_output --partial -- '--origin is required'
}
