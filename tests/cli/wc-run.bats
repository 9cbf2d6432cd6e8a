#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# wc-run as a program: serving, clients, kill -9, the control socket, where settings come from, refusals.
# bats and common.bash assign status, output, stderr, lines, stderr_text; other files read JSON.
# shellcheck disable=SC2154,SC2034,SC2030,SC2031
bats_require_minimum_version 1.5.0
load common.bash
load contract.bash
load serve.bash

# table_of WORD...: the table line of a cache served with these words.
table_of() {
  serve "$@"
  TABLE=$(ctl table)
  stopped_well
}

refused() {
  local expected=$1 text=$2
  shift 2
  run --separate-stderr timeout 20 wc-run "$@"
  assert_equal "$status" "$expected"
  assert_equal "$output" ""
  no_sanitizer_report "$stderr"
  [[ "$stderr" == *"$text"* ]] || fail "not \"$text\": $stderr"
}

@test "wc-run: what a client copies in comes out again, and lies on the origin after a drain" {
  local type
  for type in s p; do
    blank_images
    head -c 16M /dev/urandom >"$BATS_TEST_TMPDIR/data"
    serve --origin "$ORIGIN" --format --type "$type" "$CACHE"
    run timeout 60 nbdcopy --flush "$BATS_TEST_TMPDIR/data" "$URI"
    assert_success
    run timeout 60 nbdcopy "$URI" "$BATS_TEST_TMPDIR/back"
    assert_success
    run cmp "$BATS_TEST_TMPDIR/data" "$BATS_TEST_TMPDIR/back"
    assert_success
    ctl flush_on_suspend
    stopped_well
    run cmp "$BATS_TEST_TMPDIR/data" "$ORIGIN"
    assert_success
    run wc-check --origin "$ORIGIN" "$CACHE"
    assert_success
    rm "$CACHE"
  done
}

@test "wc-run: what was flushed survives kill -9, and the name is free at once" {
  local type
  for type in s p; do
    blank_images
    serve --origin "$ORIGIN" --format --type "$type" "$CACHE"
    client flushed
    kill -9 "$SERVER"
    ended
    run wc-check --origin "$ORIGIN" "$CACHE"
    assert_success
    serve --origin "$ORIGIN" --type "$type" "$CACHE"
    client is_flushed
    stopped_well
    rm "$CACHE"
  done
}

@test "wc-run: kill -9 takes the server along, however many clients it has" {
  blank_images
  serve --origin "$ORIGIN" --format "$CACHE"
  "${PYTHON[@]}" -c 'import nbd, sys, time; h = nbd.NBD(); h.connect_uri(sys.argv[1]); h.pread(512, 0); time.sleep(60)' "$URI" 3>&- &
  local idle=$!
  sleep 1
  killed
  kill "$idle"
  serve --origin "$ORIGIN" "$CACHE"
  stopped_well
}

@test "wc-run: clients that keep to no block size, or to no size at all" {
  blank_images
  serve --origin "$ORIGIN" --format "$CACHE"
  client advertised
  client unaligned
  client neighbours
  client out_of_range
  stopped_well
}

@test "wc-run: an idle client does not hold up the end" {
  blank_images
  serve --origin "$ORIGIN" --format "$CACHE"
  "${PYTHON[@]}" -c 'import nbd, sys, time; h = nbd.NBD(); h.connect_uri(sys.argv[1]); h.pread(512, 0); time.sleep(30)' "$URI" 3>&- &
  local idle=$!
  sleep 1
  SECONDS=0
  stopped_well
  kill "$idle"
  [ "$SECONDS" -lt 10 ] || fail "took $SECONDS s"
}

# live_blocks: committed ones on the medium; the server is not asked, as that would drive its engine.
live_blocks() {
  wc-dump --json "$CACHE" | sed -n 's/^ *"live": \([0-9]*\),$/\1/p'
}

@test "wc-run: what is due by time comes while no request does: the commit, then the writeback of what is old" {
  local type turn
  for type in s p; do
    blank_images
    serve --origin "$ORIGIN" --format --type "$type" --autocommit-time 300 --autocommit-blocks 100000 --max-age 4000 "$CACHE"
    client written
    for ((turn = 0; turn < 20; ++turn)); do
      [ "$(live_blocks)" != 16 ] || break
      sleep 0.1
    done
    assert_equal "$(live_blocks)" 16
    for ((turn = 0; turn < 100; ++turn)); do
      [ "$(live_blocks)" != 0 ] || break
      sleep 0.2
    done
    assert_equal "$(live_blocks)" 0
    stopped_well
  done
}

@test "wc-run: --read-only serves the merged view and writes to neither device" {
  make_images clean
  "${PYTHON[@]}" "$RECIPES" --merged "$CACHE" "$ORIGIN" "$BATS_TEST_TMPDIR/merged"
  local before
  before=$(checksum "$CACHE" "$ORIGIN")
  serve --origin "$ORIGIN" --read-only "$CACHE"
  client read_only
  run timeout 60 nbdcopy "$URI" "$BATS_TEST_TMPDIR/back"
  assert_success
  stopped_well
  run cmp "$BATS_TEST_TMPDIR/merged" "$BATS_TEST_TMPDIR/back"
  assert_success
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
}

@test "wc-run ctl: every verb, every form of status, --list" {
  blank_images
  serve --origin "$ORIGIN" --format --high-watermark 60 "$CACHE"
  assert_equal "$(timeout 20 wc-run ctl --list)" cache.img
  run ctl status
  assert_output --regexp '^0 32768 writecache 0 [0-9]+ [0-9]+( [0-9]+){11}$'
  assert_equal "$(ctl table)" "0 32768 writecache s $ORIGIN $CACHE 4096 2 high_watermark 60"
  JSON="$BATS_TEST_TMPDIR/status.json"
  ctl status --json >"$JSON"
  assert_schema wc-run-status "$JSON"
  assert_equal "$(json 'j["uri"]')" "$URI"
  run ctl status --human
  assert_line "state    empty"
  assert_output --partial "The origin holds all data"
  run ctl status --prometheus
  assert_line 'writecache_error{name="cache.img"} 0'
  client flushed
  ctl flush
  ctl status --json >"$JSON"
  assert_equal "$(json 'j["status"]["free"] == j["status"]["n_blocks"]')" True
  ctl clear_stats
  ctl status --json >"$JSON"
  assert_equal "$(json 'j["status"]["writes"]')" 0
  ctl suspend
  WC_RESUME="wc-run ctl cache.img resume" client suspended
  ctl cleaner
  [[ "$(ctl table)" == *" cleaner" ]] || fail "$(ctl table)"
  kill -USR1 "$SERVER"
  sleep 1
  grep -q '^0 32768 writecache 0 ' "$BATS_TEST_TMPDIR/err" || fail "no status: $(cat "$BATS_TEST_TMPDIR/err")"
  ctl stop
  ended
  assert_equal "$(cat "$BATS_TEST_TMPDIR/code")" 0
  assert_equal "$(timeout 20 wc-run ctl --list)" ""
  run ctl status
  assert_equal "$status" 8
  run ctl nonsense
  assert_equal "$status" 16
  run ctl flush --json
  assert_equal "$status" 16
  run wc-run ctl
  assert_equal "$status" 16
}

@test "wc-run: a flag wins over the environment, that over the file" {
  blank_images
  wc-format -q "$CACHE"
  printf '# settings\nhigh_watermark = 61\nlow-watermark = 11\nmax_age = 1\ncleaner = true\n' >"$BATS_TEST_TMPDIR/conf"
  table_of --config "$BATS_TEST_TMPDIR/conf" --origin "$ORIGIN" "$CACHE"
  [[ "$TABLE" == *" high_watermark 61 low_watermark 11 max_age 1 cleaner" ]] || fail "$TABLE"
  export WC_RUN_HIGH_WATERMARK=62 WC_RUN_LOW_WATERMARK=12 WC_RUN_CONFIG="$BATS_TEST_TMPDIR/conf" WC_RUN_CLEANER=false
  table_of --origin "$ORIGIN" "$CACHE"
  [[ "$TABLE" == *" high_watermark 62 low_watermark 12 max_age 1" ]] || fail "$TABLE"
  table_of --high-watermark 63 --origin "$ORIGIN" "$CACHE"
  [[ "$TABLE" == *" high_watermark 63 low_watermark 12 max_age 1" ]] || fail "$TABLE"
  WC_RUN_NO_SUCH=1 refused 16 no-such --origin "$ORIGIN" "$CACHE"
  printf 'no equals sign\n' >"$BATS_TEST_TMPDIR/conf"
  refused 16 conf --origin "$ORIGIN" "$CACHE"
}

@test "wc-run: --table serves what dmsetup would, and refuses in the driver's words" {
  blank_images
  wc-format -q "$CACHE"
  local line="0 1024 writecache s $ORIGIN $CACHE 4096"
  table_of --table "$line 5 High_Watermark 60 max_age 5 cleaner"
  assert_equal "$TABLE" "$line 5 high_watermark 60 max_age 5 cleaner"
  table_of --table "$line 2 high_watermark 60" --high-watermark 70
  assert_equal "$TABLE" "$line 2 high_watermark 70"
  refused 16 "Bad arguments" --table "$line"
  refused 16 "Invalid block size" --table "0 1024 writecache s $ORIGIN $CACHE 1000 0"
  refused 16 "Invalid optional argument" --table "$line 1 sparkle"
  refused 16 "High watermark must be greater than or equal to low watermark" --table "$line 2 high_watermark 40"
  refused 16 "High watermark must be greater than or equal to low watermark" --origin "$ORIGIN" --high-watermark 40 "$CACHE"
  refused 8 "is smaller" --table "0 999999 writecache s $ORIGIN $CACHE 4096 0"
}

@test "wc-run: damage, a blank cache and a wrong block size are refused with the command to run" {
  blank_images
  refused 8 "wc-check --origin $ORIGIN $CACHE" --origin "$ORIGIN" "$CACHE"
  local recipe before
  for recipe in identical-data-different identical-data-equal bad-magic bad-version future zeroed-superblock misaligned \
    beyond-origin interrupted-format; do
    make_images "$recipe"
    before=$(checksum "$CACHE" "$ORIGIN")
    refused 8 "wc-check --origin $ORIGIN $CACHE" --origin "$ORIGIN" --format "$CACHE"
    assert_equal "$recipe $(checksum "$CACHE" "$ORIGIN")" "$recipe $before"
  done
  make_images clean
  refused 8 "lock size" --origin "$ORIGIN" --block-size 512 "$CACHE"
}

@test "wc-run: --format formats nothing but a blank cache" {
  blank_images 8M
  local before kind
  for kind in ext4 swap; do
    truncate -s 0 "$CACHE"
    truncate -s 8M "$CACHE"
    if [ "$kind" = ext4 ]; then mkfs.ext4 -q -F "$CACHE"; else mkswap -q "$CACHE" 2>/dev/null; fi
    before=$(checksum "$CACHE" "$ORIGIN")
    refused 8 "holds $kind" --origin "$ORIGIN" --format "$CACHE"
    assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
  done
}

@test "wc-run: an image of metadata alone is not served" {
  make_images stale
  local before
  wc-dump --image "$BATS_TEST_TMPDIR/meta.img" "$CACHE"
  before=$(checksum "$ORIGIN" "$BATS_TEST_TMPDIR/meta.img")
  refused 8 "no data at all" --origin "$ORIGIN" "$BATS_TEST_TMPDIR/meta.img"
  assert_equal "$(checksum "$ORIGIN" "$BATS_TEST_TMPDIR/meta.img")" "$before"
}

@test "wc-run: a suspended cache can be stopped, whatever it was told before" {
  local told
  for told in flush cleaner flush_on_suspend suspend; do
    blank_images
    serve --origin "$ORIGIN" --format "$CACHE"
    client flushed
    ctl suspend
    if [ "$told" = flush ]; then
      run ctl flush
      assert_failure 8
      assert_output --partial "suspended (resume it first)"
    else
      ctl "$told"
    fi
    SECONDS=0
    stopped_well
    [ "$SECONDS" -lt 20 ] || fail "$told: the end took $SECONDS s"
    run_json wc-check --json --origin "$ORIGIN" "$CACHE"
    case $told in
      cleaner | flush_on_suspend) assert_equal "$told $(json 'j["counts"]["live"]')" "$told 0" ;;
      *) [ "$(json 'j["counts"]["live"]')" -gt 0 ] || fail "$told: everything was written back" ;;
    esac
  done
}

@test "wc-run: switches take true and false, and nothing is not a value" {
  blank_images
  wc-format -q "$CACHE"
  refused 16 "is not one of true, false" --origin "$ORIGIN" --read-only=maybe "$CACHE"
  printf 'origin = %s\ncache = %s\nread-only =\n' "$ORIGIN" "$CACHE" >"$BATS_TEST_TMPDIR/c.conf"
  refused 16 "has an empty value" --config "$BATS_TEST_TMPDIR/c.conf"
  printf 'origin = %s\ncache = %s\ncleaner = maybe\n' "$ORIGIN" "$CACHE" >"$BATS_TEST_TMPDIR/c.conf"
  refused 16 "is not one of true, false" --config "$BATS_TEST_TMPDIR/c.conf"
}

@test "wc-run: a configuration file that cannot be read is a failure, no misuse" {
  blank_images
  refused 8 "No such file" --config "$BATS_TEST_TMPDIR/none.conf"
  refused 8 "cannot be read" --config "$BATS_TEST_TMPDIR"
  refused 8 "No such file" --config "$BATS_TEST_TMPDIR/none.conf" --origin "$ORIGIN" "$CACHE"
}

@test "wc-run: --json says why it does not serve" {
  blank_images
  run_json wc-run --json --origin "$ORIGIN" "$CACHE"
  assert_equal "$status $(json 'j["error"]["code"]')" "8 not-a-cache"
  assert_schema wc-run "$JSON"
  run_json wc-run --json --origin "$BATS_TEST_TMPDIR/none" "$CACHE"
  assert_equal "$status $(json 'j["error"]["code"]')" "8 not-found"
  local recipe
  for recipe in bad-magic zeroed-superblock future identical-data-different; do
    make_images "$recipe"
    run_json wc-run --json --origin "$ORIGIN" "$CACHE"
    assert_equal "$recipe $status $(json 'j["error"]["code"]')" "$recipe 8 damaged"
  done
  make_images clean
  run_json wc-run --json --origin "$ORIGIN" --block-size 512 "$CACHE"
  assert_equal "$status $(json 'j["error"]["code"]')" "8 invalid-argument"
  serve --origin "$ORIGIN" "$CACHE"
  run_json wc-run --json --origin "$ORIGIN" --name other "$CACHE"
  assert_equal "$status $(json 'j["error"]["code"]')" "8 busy"
  stopped_well
}

@test "wc-run: a view stands still: none beside a writer, and no writer beside one" {
  make_images clean
  local before words
  serve --origin "$ORIGIN" "$CACHE"
  refused 8 "is locked by nbdkit" --origin "$ORIGIN" --name view --read-only "$CACHE"
  stopped_well
  before=$(checksum "$CACHE" "$ORIGIN")
  serve --origin "$ORIGIN" --read-only "$CACHE"
  refused 8 "is locked by nbdkit" --origin "$ORIGIN" --name writer "$CACHE"
  run wc-flush --origin "$ORIGIN" "$CACHE"
  assert_failure 8
  run wc-check -y --no-undo "$CACHE"
  assert_failure 8
  # Who only reads is welcome, other views too.
  run wc-check --origin "$ORIGIN" "$CACHE"
  assert_success
  wc-dump "$CACHE" >/dev/null
  run timeout -s TERM -k 5 3 wc-run --origin "$ORIGIN" --name second --read-only "$CACHE"
  assert_output --partial "ready nbd+unix:"
  stopped_well
  assert_equal "$(checksum "$CACHE" "$ORIGIN")" "$before"
}

@test "wc-run ctl: a signal ends the waiting for an answer" {
  local socket="$XDG_RUNTIME_DIR/deaf.ctl" client code=0
  "${PYTHON[@]}" - "$socket" <<'PYTHON' 3>&- &
import socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
time.sleep(60)
PYTHON
  at_end "kill $!"
  until [ -S "$socket" ]; do sleep 0.05; done
  timeout -s KILL 30 wc-run ctl "$socket" flush 2>"$BATS_TEST_TMPDIR/err" 3>&- &
  client=$!
  sleep 1
  pkill -TERM -P "$client" || fail "nobody waits"
  wait "$client" || code=$?
  assert_equal "$code" 32
  grep -q "not waited for any longer" "$BATS_TEST_TMPDIR/err" || fail "$(cat "$BATS_TEST_TMPDIR/err")"
}

@test "wc-run ctl: a table line that would begin elsewhere on the origin is not given" {
  blank_images
  serve --origin "$ORIGIN" --origin-start-sector 2048 --format "$CACHE"
  run ctl table
  assert_failure 8
  assert_output --partial "begins at sector 2048"
  stopped_well
}

@test "wc-run: one cache and one name are served once" {
  blank_images
  serve --origin "$ORIGIN" --format "$CACHE"
  refused 8 "the name \`cache.img\` is in use" --origin "$ORIGIN" "$CACHE"
  refused 8 "locked" --origin "$ORIGIN" --name other "$CACHE"
  run wc-flush --origin "$ORIGIN" "$CACHE"
  assert_equal "$status" 8
  client is_flushed || true
  stopped_well
}

@test "wc-run: sockets of one's own, TCP on the loopback address, JSON, sd_notify" {
  blank_images
  wc-format -q "$CACHE"
  serve --origin "$ORIGIN" --nbd "unix:$XDG_RUNTIME_DIR/my.sock" "$CACHE"
  assert_equal "$URI" "nbd+unix:///?socket=$XDG_RUNTIME_DIR/my.sock"
  kill -9 "$SERVER"
  ended
  serve --origin "$ORIGIN" --nbd "unix:$XDG_RUNTIME_DIR/my.sock" "$CACHE"
  client out_of_range
  stopped_well
  serve --origin "$ORIGIN" --nbd tcp:17809 --nbdkit-option=--verbose "$CACHE"
  assert_equal "$URI" nbd://127.0.0.1:17809
  client out_of_range
  grep -q debug: "$BATS_TEST_TMPDIR/err" || fail "--verbose did not reach nbdkit"
  stopped_well
  "${PYTHON[@]}" - "$XDG_RUNTIME_DIR/notify" >"$BATS_TEST_TMPDIR/notified" <<'PYTHON' 3>&- &
import socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
server.settimeout(30)
print(server.recv(1000).decode())
PYTHON
  local listener=$!
  while [ ! -e "$XDG_RUNTIME_DIR/notify" ]; do sleep 0.1; done
  NOTIFY_SOCKET="$XDG_RUNTIME_DIR/notify" serve --origin "$ORIGIN" "$CACHE"
  wait "$listener"
  assert_equal "$(cat "$BATS_TEST_TMPDIR/notified")" "READY=1"
  stopped_well
  wc-run --json --origin "$ORIGIN" "$CACHE" >"$BATS_TEST_TMPDIR/out.json" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
  SERVER=$!
  while [ ! -s "$BATS_TEST_TMPDIR/out.json" ]; do sleep 0.1; done
  assert_schema wc-run "$BATS_TEST_TMPDIR/out.json"
  stopped_well
}

@test "wc-run: the plugin serves without wc-run, in the background too" {
  blank_images
  wc-format -q "$CACHE"
  cd "$BATS_TEST_TMPDIR"
  nbdkit -P "$BATS_TEST_TMPDIR/nbdkit.pid" -U "$XDG_RUNTIME_DIR/plain.sock" "$WC_PLUGIN" origin=origin.img cache=cache.img \
    high_watermark=60 control="$XDG_RUNTIME_DIR/plain.ctl" 3>&-
  SERVER=$(cat "$BATS_TEST_TMPDIR/nbdkit.pid")
  URI="nbd+unix:///?socket=$XDG_RUNTIME_DIR/plain.sock"
  client unaligned
  client flushed
  assert_equal "$(timeout 20 wc-run ctl "$XDG_RUNTIME_DIR/plain.ctl" table)" \
    "0 32768 writecache s $ORIGIN $CACHE 4096 2 high_watermark 60"
  kill -TERM "$SERVER"
  while kill -0 "$SERVER" 2>/dev/null; do sleep 0.1; done
  run wc-check --origin "$ORIGIN" "$CACHE"
  assert_success
  run nbdkit -U - "$WC_PLUGIN" origin="$ORIGIN" --run true
  assert_failure
  run nbdkit -U - "$WC_PLUGIN" origin="$ORIGIN" cache="$CACHE" sparkle=1 --run true
  assert_failure
  assert_output --partial "Invalid optional argument"
}

@test "wc-run: --ublk says what it needs, and does not go with NBD" {
  blank_images
  refused 16 "do not go with it" --origin "$ORIGIN" --ublk --nbd unix:/tmp/x "$CACHE"
  refused 16 "is not the number of a block device" --origin "$ORIGIN" --ublk=x "$CACHE"
  refused 16 "--ublk-queues" --origin "$ORIGIN" --ublk --ublk-queues 0 "$CACHE"
  [ ! -e /dev/ublk-control ] || skip "this machine has ublk; the virtual machine suite uses it"
  refused 8 "is the module ublk_drv loaded" --origin "$ORIGIN" --ublk "$CACHE"
  refused 8 "is the module ublk_drv loaded" --origin "$ORIGIN" --ublk=1 "$CACHE"
}

@test "wc-run: a server that is killed is replaced, and nothing that was acknowledged is lost" {
  local type child
  for type in s p; do
    blank_images
    serve --origin "$ORIGIN" --format --type "$type" "$CACHE"
    # Never flushed, so only the log of uncommitted blocks knows where they are.
    client unflushed
    child=$(pgrep -P "$SERVER")
    kill -KILL "$child"
    client taken_over
    grep -q 'killed by signal 9 and is started again' "$BATS_TEST_TMPDIR/err"
    run ctl status --human
    assert_success
    stopped_well
    run wc-check --origin "$ORIGIN" "$CACHE"
    assert_success
    [ -z "$(find "$XDG_RUNTIME_DIR" -name '*.pending*')" ]
    rm "$CACHE"
  done
}

@test "wc-run: contract: help says usage and exit status" { contract_help_says_usage_and_exit_status; }
@test "wc-run: contract: version is one line" { contract_version_is_one_line; }
@test "wc-run: contract: unknown option is 16 with a hint" { contract_unknown_option_is_16_with_a_hint; }
@test "wc-run: contract: no cache is 16" { contract_no_cache_is_16; }
@test "wc-run: contract: two caches are 16" { contract_two_caches_are_16; }
@test "wc-run: contract: bad numbers are 16" { contract_bad_numbers_are_16; }
@test "wc-run: contract: missing file" { contract_missing_file; }
@test "wc-run: contract: missing tag" { contract_missing_tag; }
@test "wc-run: contract: directory" { contract_directory; }
@test "wc-run: contract: fifo does not hang" { contract_fifo_does_not_hang; }
@test "wc-run: contract: socket" { contract_socket; }
@test "wc-run: contract: dev null and full" { contract_dev_null_and_full; }
@test "wc-run: contract: empty file" { contract_empty_file; }
@test "wc-run: contract: one byte file" { contract_one_byte_file; }
@test "wc-run: contract: locked image is busy" { contract_locked_image_is_busy; }
@test "wc-run: contract: start sector beyond the end" { contract_start_sector_beyond_the_end; }
