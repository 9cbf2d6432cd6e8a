#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The rescue of a cache as doc/rescue.md tells it: its commands, step by step, on images with a file system in them.
# bats and common.bash assign status, output, stderr, lines, stderr_text; the commands of the page read its variables.
# shellcheck disable=SC2154,SC2034,SC2030,SC2031
bats_require_minimum_version 1.5.0
load common.bash

setup() {
  local program
  for program in nbdkit nbdcopy nbdfuse ddrescue ddrescuelog debugfs mkfs.ext4; do
    command -v "$program" >/dev/null || skip "$program is not installed"
  done
  PAGE="$ROOT/doc/rescue.md"
  # Unix sockets have short names.
  KEEP=$(mktemp -d /tmp/wc-rescue.XXXXXX)
  BACKUP="$BATS_TEST_TMPDIR/new.img"
  export KEEP BACKUP
}

teardown() {
  [ -n "${KEEP:-}" ] || return 0
  local mount pid
  for mount in view cache broken; do umount "$KEEP/$mount" 2>/dev/null || true; done
  for pid in "$KEEP"/*.pid; do
    [ ! -s "$pid" ] || kill "$(cat "$pid")" 2>/dev/null || true
  done
  rm -rf "$KEEP"
}

# has_fuse: nbdfuse can mount here.
has_fuse() {
  [ -w /dev/fuse ] && [ "$(id -u)" -eq 0 ] && command -v umount >/dev/null
}

# step NAME: runs the commands of that step of the page. Each must end with a status that the page names, or 0.
step() {
  local allowed commands code=0
  allowed=$(sed -n "s/^<!-- step: $1, status \([0-9 ]*\) -->\$/\1/p" "$PAGE")
  commands=$(awk -v mark="<!-- step: $1," 'index($0, mark) == 1 { found = 1 } found && /^```$/ { exit } inside { print }
    found && /^```sh$/ { inside = 1 }' "$PAGE")
  if [ -z "$allowed" ] || [ -z "$commands" ]; then fail "the page has no step $1"; fi
  export CACHE ORIGIN allowed
  # The plugin of the build tree has no short name yet.
  # shellcheck disable=SC2016  # the other shell expands it
  timeout -k 5 120 bash -c 'nbdkit() { local words=("$@"); command nbdkit "${words[@]/#writecache/$WC_PLUGIN}"; }
    trap "code=\$?; case \" 0 $allowed \" in *\" \$code \"*) ;; *) exit 99 ;; esac" ERR
    '"$commands" >"$BATS_TEST_TMPDIR/step.txt" 2>&1 3>&- || code=$?
  STEP_OUTPUT=$(<"$BATS_TEST_TMPDIR/step.txt")
  no_sanitizer_report "$STEP_OUTPUT"
  case " $allowed " in
    *" $code "*) STEP_STATUS=$code ;;
    *) fail "step $1 ended with $code, not $allowed: $STEP_OUTPUT" ;;
  esac
}

# file_system_images [WORD]: $ORIGIN with a file system, $BACKUP with a newer one, and $CACHE with what differs between them.
# With `damaged` the cache has twins of one block and entries of an unfinished commit. $LOST is a block of the file `new`,
# counted on the origin; $LOST_AT is where its data lie in the cache, in bytes.
file_system_images() {
  CACHE="$BATS_TEST_TMPDIR/cache.img"
  ORIGIN="$BATS_TEST_TMPDIR/origin.img"
  truncate -s 16M "$ORIGIN"
  mkfs.ext4 -q -F -b 4096 -O ^has_journal "$ORIGIN"
  debugfs -w -R "write $ROOT/README.md old" "$ORIGIN" 2>/dev/null
  cp "$ORIGIN" "$BACKUP"
  debugfs -w -R "write $ROOT/LICENSE new" "$BACKUP" 2>/dev/null
  LOST=$(debugfs -R "bmap new 2" "$BACKUP" 2>/dev/null)
  LOST_AT=$(PYTHONPATH="$ROOT/tests/images" "${PYTHON[@]}" - "$ORIGIN" "$BACKUP" "$CACHE" "$LOST" "${1:-sound}" <<'EOF'
import sys
import cacheimage
old, new = (open(name, "rb").read() for name in sys.argv[1:3])
lost, is_damaged = int(sys.argv[4]), sys.argv[5] == "damaged"
image = cacheimage.Image()
index, place = 20, {}
for block in range(len(new) // 4096):
    data = new[4096 * block:4096 * (block + 1)]
    if data != old[4096 * block:4096 * (block + 1)]:
        image.entry(index, 8 * block, 3 + index % 5, data)
        place[block] = index
        index += 1
if is_damaged:
    image.entry(1, 8 * lost, 3 + place[lost] % 5, b"twin" * 1024)
    image.entry(2, 8 * lost, 10, b"unfinished" * 409 + b"......")
image.write(sys.argv[3])
print(cacheimage.data_offset(4096, image.n_blocks) + 4096 * place[lost])
EOF
  )
  export CACHE ORIGIN
}

# holds_new_files IMAGE: the file system in it is sound and has the file that only the cache had.
holds_new_files() {
  run e2fsck -fn "$1"
  assert_success
  debugfs -R "cat new" "$1" 2>/dev/null | cmp - "$ROOT/LICENSE" || fail "the file is not whole"
}

@test "rescue: every step of the page is run here, and every block of commands is a step" {
  local step count=0
  while read -r step; do
    grep -q "^ *step $step\$" "$BATS_TEST_FILENAME" || fail "step $step is not tested"
    count=$((count + 1))
  done < <(sed -n 's/^<!-- step: \([a-z-]*\),.*/\1/p' "$PAGE")
  [ "$count" -gt 10 ] || fail "only $count steps"
  [ "$(grep -c '^```sh$' "$PAGE")" -eq "$(grep -c '^<!-- \(step\|names\)' "$PAGE")" ] || fail "commands without a step"
}

@test "rescue: image, check, repair, look, drain, and back" {
  file_system_images damaged
  local evidence repaired origin
  evidence=$(checksum "$CACHE")
  origin=$(checksum "$ORIGIN")
  step image
  cmp -n $((64 + 16 * 300)) "$CACHE" "$KEEP/metadata.img"
  step check
  [[ "$STEP_OUTPUT" == *"identical"*"Do not activate it"* ]] || fail "$STEP_OUTPUT"
  step look
  [[ "$STEP_OUTPUT" == *"how much is dirty"* ]] || fail "$STEP_OUTPUT"
  grep -q " live$" "$KEEP/entries.txt"
  step repair
  step undo
  assert_equal "$(checksum "$CACHE")" "$evidence"
  step repair
  repaired=$(checksum "$CACHE")
  step serve
  if has_fuse; then
    step fsck
  else
    echo "# no FUSE here: the trial is made on a copy only" >&3
  fi
  step copy
  holds_new_files "$KEEP/copy.img"
  step end
  # Nothing of all this was written to the devices.
  assert_equal "$(checksum "$CACHE")" "$repaired"
  assert_equal "$(checksum "$ORIGIN")" "$origin"
  step drain
  assert_equal "$STEP_STATUS" 0
  assert_equal "$(checksum "$CACHE")" "$repaired"
  cmp "$ORIGIN" "$BACKUP"
  ddrescuelog --done-status "$KEEP/origin.map"
  step undo-again
  assert_equal "$(checksum "$CACHE")" "$evidence"
  step repair
  step free
  run_json wc-check --json --origin "$ORIGIN" "$CACHE"
  assert_equal "$status $(json 'j["counts"]["live"]')" "0 0"
  holds_new_files "$ORIGIN"
}

@test "rescue: a cache with unreadable blocks costs only these, and they are taken from a backup" {
  has_fuse || skip "no FUSE here, which makes the read errors"
  file_system_images
  cp "$ORIGIN" "$BATS_TEST_TMPDIR/old.img"
  # The device: 4096 bytes of it cannot be read.
  printf '0x0 + 1\n0x0 %#x +\n%#x 0x1000 -\n%#x %#x +\n' "$LOST_AT" "$LOST_AT" $((LOST_AT + 4096)) \
    $(($(stat -c %s "$CACHE") - LOST_AT - 4096)) >"$BATS_TEST_TMPDIR/broken.map"
  nbdkit --unix "$KEEP/broken.sock" --pidfile "$KEEP/broken.pid" --filter=ddrescue file "$CACHE" \
    ddrescue-mapfile="$BATS_TEST_TMPDIR/broken.map" 3>&-
  mkdir "$KEEP/broken"
  nbdfuse --readonly --pidfile "$KEEP/brokenfuse.pid" "$KEEP/broken" "nbd+unix:///?socket=$KEEP/broken.sock" 3>&- &
  # shellcheck disable=SC2016  # the other shell expands it
  timeout 20 bash -c 'until [ -s "$KEEP/brokenfuse.pid" ]; do sleep 0.2; done'
  CACHE="$KEEP/broken/nbd"
  step dying
  assert_equal "$(ddrescuelog --list-blocks=- --block-size=4096 "$KEEP/cache.map")" "$((LOST_AT / 4096))"
  CACHE="$KEEP/cache/nbd"
  run wc-check --origin "$ORIGIN" "$CACHE"
  assert_success
  step drain
  assert_equal "$STEP_STATUS" 4
  [[ "$STEP_OUTPUT" == *"sectors $((8 * LOST))+8 are not up to date: read of the cache"* ]] || fail "$STEP_OUTPUT"
  step lost
  assert_equal "$(cat "$KEEP/lost.txt")" "$LOST"
  # debugfs names the inode of `new`.
  [[ "$STEP_OUTPUT" == *"$LOST"*"$(debugfs -R "stat new" "$BACKUP" 2>/dev/null | sed -n 's/^Inode: \([0-9]*\).*/\1/p')"* ]] || fail "$STEP_OUTPUT"
  # The lost block is as old as before, not zeros; all others are new.
  cmp <(dd if="$ORIGIN" bs=4096 skip="$LOST" count=1 status=none) <(dd if="$BATS_TEST_TMPDIR/old.img" bs=4096 skip="$LOST" count=1 status=none)
  assert_equal "$(cmp -l "$ORIGIN" "$BACKUP" | awk '{ print int(($1 - 1) / 4096) }' | sort -u)" "$LOST"
  step restore
  cmp "$ORIGIN" "$BACKUP"
  holds_new_files "$ORIGIN"
}
