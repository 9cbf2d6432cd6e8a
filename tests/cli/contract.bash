# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # bats assigns and reads them
# SPDX-License-Identifier: LGPL-2.1-or-later
# What every command has in common, as the contract of the commands says. contract.bats runs each contract_* of this file
# for the command in WC_TOOL; a command that writes by default is called here in its form that writes.

# tool CACHE [WORD...]: the command on this cache, with the origin it may need. Never waits longer than 20 seconds.
tool() {
  local cache=$1
  shift
  case "$WC_TOOL" in
    wc-flush | wc-run) timeout -k 5 20 "$WC_TOOL" --origin "$ORIGIN" "$@" -- "$cache" ;;
    *) timeout -k 5 20 "$WC_TOOL" "$@" -- "$cache" ;;
  esac
}

# writer CACHE [WORD...]: the same, in a form that writes to the cache (all but wc-dump have one).
writer() {
  local cache=$1
  shift
  case "$WC_TOOL" in
    wc-check) tool "$cache" -y --no-undo "$@" ;;
    *) tool "$cache" "$@" ;;
  esac
}

is_writer() {
  [ "$WC_TOOL" != wc-dump ]
}

# refuses STATUS CACHE TEXT: exit status, a message that names tool and path, nothing else on stdout, valid JSON under --json.
refuses() {
  local expected=$1 cache=$2 text=$3
  run --separate-stderr writer "$cache"
  assert_equal "$status" "$expected"
  assert_equal "$output" ""
  no_sanitizer_report "$stderr"
  [[ "$stderr" == "$WC_TOOL: "* ]] || fail "no tool name: $stderr"
  [[ "$stderr" == *"$cache"* ]] || fail "no path: $stderr"
  [[ "$stderr" == *$text* ]] || fail "not \"$text\": $stderr"
  run_json writer "$cache" --json
  assert_equal "$status" "$expected"
  assert_schema "$WC_TOOL" "$JSON"
}

contract_help_says_usage_and_exit_status() {
  run --separate-stderr "$WC_TOOL" --help
  assert_success
  assert_equal "$stderr" ""
  assert_output --partial "Usage: $WC_TOOL"
  assert_output --partial "CACHE"
  assert_output --partial "Exit status"
  run "$WC_TOOL" -h
  assert_success
}

contract_version_is_one_line() {
  run --separate-stderr "$WC_TOOL" --version
  assert_success
  assert_equal "${#lines[@]}" 1
  [[ "$output" =~ ^$WC_TOOL\ .*[0-9]+\.[0-9]+\.[0-9]+ ]] || fail "$output"
}

contract_unknown_option_is_16_with_a_hint() {
  run --separate-stderr "$WC_TOOL" --no-such-option x
  assert_equal "$status" 16
  assert_equal "$output" ""
  [[ "$stderr" == *--help* ]] || fail "$stderr"
}

contract_no_cache_is_16() {
  ORIGIN=/dev/null run "$WC_TOOL"
  assert_equal "$status" 16
}

contract_two_caches_are_16() {
  make_images clean
  local before
  before=$(checksum "$CACHE" "$ORIGIN")
  run "$WC_TOOL" --origin "$ORIGIN" "$CACHE" "$ORIGIN"
  assert_equal "$status" 16
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
}

contract_bad_numbers_are_16() {
  make_images clean
  local before word
  before=$(checksum "$CACHE" "$ORIGIN")
  for word in -1 x 1.5 0x10 18446744073709551616 99999999999T " 1" 1KB 18014398509481984; do
    run writer "$CACHE" "--start-sector=$word"
    assert_equal "$word $status" "$word 16"
  done
  run writer "$CACHE" --start-sector=
  assert_equal "$status" 16
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
}

contract_missing_file() {
  make_images clean
  refuses 8 "$BATS_TEST_TMPDIR/missing" "No such file"
}

contract_missing_tag() {
  make_images clean
  refuses 8 "UUID=00000000-dead-beef-0000-000000000000" ""
}

contract_directory() {
  make_images clean
  refuses 8 "$BATS_TEST_TMPDIR" "directory"
}

contract_fifo_does_not_hang() {
  make_images clean
  mkfifo "$BATS_TEST_TMPDIR/fifo"
  refuses 8 "$BATS_TEST_TMPDIR/fifo" ""
}

contract_socket() {
  make_images clean
  "${PYTHON[@]}" -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$BATS_TEST_TMPDIR/socket"
  refuses 8 "$BATS_TEST_TMPDIR/socket" ""
}

contract_dev_null_and_full() {
  make_images clean
  refuses 8 /dev/null ""
  refuses 8 /dev/full ""
}

# too_small FILE: wc-check calls it area-too-small (4), the others cannot work with it (8); dump may say either.
too_small() {
  local before
  before=$(checksum "$1" "$ORIGIN")
  run --separate-stderr tool "$1"
  no_sanitizer_report "$stderr"
  case "$WC_TOOL" in
    wc-check) assert_equal "$status" 4 ;;
    wc-dump) [ "$status" -eq 4 ] || [ "$status" -eq 8 ] || fail "status $status" ;;
    *) assert_equal "$status" 8 ;;
  esac
  run_json tool "$1" --json
  assert_schema "$WC_TOOL" "$JSON"
  if [ "$WC_TOOL" = wc-check ]; then
    assert_equal "$(json '[f["code"] for f in j["findings"]]')" "['area-too-small']"
  fi
  assert_equal "$(checksum "$1" "$ORIGIN")" "$before"
}

contract_empty_file() {
  make_images clean
  : >"$BATS_TEST_TMPDIR/empty"
  too_small "$BATS_TEST_TMPDIR/empty"
}

contract_one_byte_file() {
  make_images clean
  printf x >"$BATS_TEST_TMPDIR/one"
  too_small "$BATS_TEST_TMPDIR/one"
}

contract_read_only_file() {
  make_images uncommitted
  chmod 0444 "$CACHE"
  local before
  before=$(checksum "$CACHE" "$ORIGIN")
  if [ "$(id -u)" -eq 0 ]; then
    # Root ignores the mode: make the file immutable, or give up.
    chattr +i "$CACHE" 2>/dev/null || skip "root ignores file modes and chattr does not work here"
  fi
  local result=0
  writer "$CACHE" >/dev/null 2>&1 || result=$?
  chattr -i "$CACHE" 2>/dev/null || true
  if is_writer; then
    assert_equal "$result" 8
  else
    assert_equal "$result" 0
  fi
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
}

contract_start_sector_beyond_the_end() {
  make_images clean
  run --separate-stderr tool "$CACHE" --start-sector 1000000000
  [ "$status" -eq 8 ] || [ "$status" -eq 4 ] || fail "status $status: $stderr"
  no_sanitizer_report "$stderr"
}

# A writer of the suite that is at work holds an advisory lock on the image: wc-flush slowed down to a crawl.
contract_locked_image_is_busy() {
  command -v wc-flush >/dev/null || skip "wc-flush is not built"
  make_images clean
  cp "$ORIGIN" "$BATS_TEST_TMPDIR/origin2.img"
  wc-flush --rate 4K --queue-depth 1 --origin "$BATS_TEST_TMPDIR/origin2.img" -- "$CACHE" >/dev/null 2>&1 3>&- &
  local holder=$!
  sleep 2
  if ! kill -0 "$holder" 2>/dev/null; then
    fail "the holder ended early"
  fi
  run --separate-stderr writer "$CACHE"
  local writer_status=$status text=$stderr
  kill -TERM "$holder"
  local holder_status=0
  wait "$holder" || holder_status=$?
  if is_writer; then
    assert_equal "$writer_status" 8
    [[ "$text" == *"$CACHE"* ]] || fail "$text"
  else
    assert_equal "$writer_status" 0
  fi
  # The holder was stopped by a signal: cancelled, and blocks remain.
  assert_equal "$((holder_status & 32))" 32
}

contract_mounted_device_is_busy() {
  is_writer || skip "wc-dump never writes"
  [ "$(id -u)" -eq 0 ] || skip "needs root"
  command -v losetup mkfs.ext4 >/dev/null || skip "needs losetup and mkfs.ext4"
  make_images clean
  truncate -s 8M "$BATS_TEST_TMPDIR/fs.img"
  mkfs.ext4 -q "$BATS_TEST_TMPDIR/fs.img"
  LOOP=$(losetup --find --show "$BATS_TEST_TMPDIR/fs.img" 2>/dev/null) || skip "no loop devices here"
  mkdir "$BATS_TEST_TMPDIR/mnt"
  if ! mount "$LOOP" "$BATS_TEST_TMPDIR/mnt" 2>/dev/null; then
    losetup -d "$LOOP"
    skip "mount does not work here"
  fi
  run --separate-stderr writer "$LOOP"
  local result=$status text=$stderr
  umount "$BATS_TEST_TMPDIR/mnt"
  losetup -d "$LOOP"
  assert_equal "$result" 8
  [[ "$text" == *mnt* ]] || fail "does not say where it is mounted: $text"
}

contract_loop_device_works_like_the_image() {
  [ "$(id -u)" -eq 0 ] || skip "needs root"
  command -v losetup >/dev/null || skip "needs losetup"
  make_images clean
  LOOP=$(losetup --find --show "$CACHE" 2>/dev/null) || skip "no loop devices here"
  local words=()
  [ "$WC_TOOL" != wc-format ] || words=(--dry-run --force --discard-dirty)
  [ "$WC_TOOL" != wc-flush ] || words=(--dry-run)
  run tool "$LOOP" "${words[@]}"
  losetup -d "$LOOP"
  assert_success
}

# looking: the words with which the command must not change a byte.
looking() {
  case "$WC_TOOL" in
    wc-format) echo --dry-run --force --discard-dirty ;;
    wc-flush) echo --dry-run ;;
  esac
}

contract_json_is_one_object_of_the_schema() {
  make_images uncommitted
  local before words
  before=$(checksum "$CACHE" "$ORIGIN")
  read -ra words <<<"$(looking)"
  run_json tool "$CACHE" "${words[@]}" --json
  assert_equal "$status" 0
  assert_equal "$stderr_text" ""
  assert_schema "$WC_TOOL" "$JSON"
  run_json tool "$CACHE" "${words[@]}" --json -q
  assert_schema "$WC_TOOL" "$JSON"
  run_json tool "$CACHE" "${words[@]}" --json -v
  assert_schema "$WC_TOOL" "$JSON"
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
}

contract_text_goes_to_stdout_and_quiet_silences_it() {
  make_images clean
  local before words
  before=$(checksum "$CACHE" "$ORIGIN")
  read -ra words <<<"$(looking)"
  run --separate-stderr tool "$CACHE" "${words[@]}"
  assert_success
  [ -n "$output" ] || fail "no text"
  assert_equal "$stderr" ""
  [[ "$output" != *$'\x1b'* ]] || fail "escape sequences without a terminal"
  run --separate-stderr tool "$CACHE" "${words[@]}" -q
  assert_success
  [ "$WC_TOOL" = wc-dump ] || assert_equal "$output" ""
  assert_equal "$stderr" ""
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
}

contract_progress_json_is_one_object_a_line_on_stderr() {
  make_images clean
  local words
  read -ra words <<<"$(looking)"
  run_json tool "$CACHE" "${words[@]}" --json --progress=json
  assert_equal "$status" 0
  assert_schema "$WC_TOOL" "$JSON"
  "${PYTHON[@]}" -c 'import json, sys
for line in sys.stdin:
    assert {"phase", "done_bytes", "total_bytes"} <= set(json.loads(line)), line' <<<"${stderr_text:-"{\"phase\":0,\"done_bytes\":0,\"total_bytes\":0}"}"
  run tool "$CACHE" --progress=sometimes
  assert_equal "$status" 16
}

contract_full_disk_on_stdout_is_8() {
  make_images clean
  local words code=0
  read -ra words <<<"$(looking)"
  tool "$CACHE" "${words[@]}" --json >/dev/full 2>"$BATS_TEST_TMPDIR/err.txt" || code=$?
  assert_equal "$((code & 8))" 8
  run cat "$BATS_TEST_TMPDIR/err.txt"
  assert_output --partial "No space left"
}

contract_broken_pipe_is_a_quiet_8() {
  make_images clean
  local words
  read -ra words <<<"$(looking)"
  {
    sleep 1
    code=0
    tool "$CACHE" "${words[@]}" --json 2>"$BATS_TEST_TMPDIR/err.txt" || code=$?
    echo "$code" >"$BATS_TEST_TMPDIR/code"
  } | true
  assert_equal "$(cat "$BATS_TEST_TMPDIR/code")" 8
  assert_equal "$(cat "$BATS_TEST_TMPDIR/err.txt")" ""
}

# With stdout closed a device would become descriptor 1, and the text would land in it.
contract_closed_stdout_never_becomes_the_device() {
  make_images clean
  local before words code=0
  before=$(checksum "$CACHE" "$ORIGIN")
  read -ra words <<<"$(looking)"
  tool "$CACHE" "${words[@]}" >&- 2>/dev/null || code=$?
  assert_equal "$((code & 8))" 8
  tool "$CACHE" "${words[@]}" <&- >/dev/null 2>&- || true
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
}

contract_start_sector_finds_the_cache() {
  make_images clean
  local words
  read -ra words <<<"$(looking)"
  { head -c 1048576 /dev/zero; cat "$CACHE"; } >"$BATS_TEST_TMPDIR/shifted.img"
  run_json tool "$CACHE" "${words[@]}" --json
  assert_equal "$status" 0
  sed -e '/"seconds"/d' -e '/"start_sector"/d' "$JSON" >"$BATS_TEST_TMPDIR/straight.json"
  run_json tool "$BATS_TEST_TMPDIR/shifted.img" "${words[@]}" --json --start-sector 2048
  assert_equal "$status" 0
  sed -e '/"seconds"/d' -e '/"start_sector"/d' "$JSON" >"$BATS_TEST_TMPDIR/moved.json"
  run diff "$BATS_TEST_TMPDIR/straight.json" "$BATS_TEST_TMPDIR/moved.json"
  assert_success
  run tool "$BATS_TEST_TMPDIR/shifted.img" "${words[@]}" --start-sector 1M
  assert_success
}

contract_damage_changes_nothing_on_its_own() {
  local recipe before
  for recipe in $("${PYTHON[@]}" "$RECIPES" --list); do
    case "$recipe" in clean | empty | uncommitted | stale | spare-room | pad-not-zero | blank) continue ;; esac
    make_images "$recipe"
    before=$(checksum "$CACHE" "$ORIGIN")
    case "$WC_TOOL" in
      wc-check | wc-dump) run --separate-stderr tool "$CACHE" ;;
      wc-format) run --separate-stderr tool "$CACHE" --dry-run ;;
      # Beyond the origin's end counts as damage too; a sound cache with another block size does not.
      wc-flush) [ "$recipe" = block-size-mismatch ] || run --separate-stderr tool "$CACHE" ;;
    esac
    no_sanitizer_report "$stderr"
    [ "$status" -lt 64 ] || fail "$recipe: status $status"
    if [ "$WC_TOOL" = wc-flush ] && [ "$recipe" != block-size-mismatch ]; then
      [ "$status" -eq 4 ] || [ "$status" -eq 8 ] || fail "$recipe: status $status"
    fi
    [ "$(checksum "$CACHE" "$ORIGIN")" = "$before" ] || fail "$recipe: bytes changed"
  done
}
