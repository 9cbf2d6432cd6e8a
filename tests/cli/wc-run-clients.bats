#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# wc-run and its clients: many at once that flush for each other, some that send what no client should, some behind TLS.
# bats and common.bash assign status, output; other files read JSON.
# shellcheck disable=SC2154,SC2034,SC2030,SC2031
bats_require_minimum_version 1.5.0
load common.bash
load serve.bash

# crowd TASK: several connections at once.
crowd() {
  run timeout 120 "${PYTHON[@]}" "$ROOT/tests/cli/nbd_crowd.py" "$URI" "$BATS_TEST_TMPDIR/crowd" "$1"
  assert_success
}

# at_work PID: the crowd has flushed at least once.
at_work() {
  local turn
  for ((turn = 0; turn < 300; ++turn)); do
    ! grep -q flushed "$BATS_TEST_TMPDIR/load" || return 0
    kill -0 "$1" 2>/dev/null || break
    sleep 0.1
  done
  fail "the crowd does not work: $(cat "$BATS_TEST_TMPDIR/load")"
}

@test "wc-run: what one client flushed for the others survives kill -9" {
  local type
  for type in s p; do
    blank_images
    serve --origin "$ORIGIN" --format --type "$type" --autocommit-time 3600000 "$CACHE"
    timeout 60 "${PYTHON[@]}" "$ROOT/tests/cli/nbd_crowd.py" "$URI" "$BATS_TEST_TMPDIR/crowd" load \
      >"$BATS_TEST_TMPDIR/load" 2>&1 3>&- &
    local load=$! verb
    for verb in status table "status --json" clear_stats flush suspend resume "status --prometheus"; do
      # shellcheck disable=SC2086  # a verb and its option
      ctl $verb >/dev/null
    done
    at_work "$load"
    killed
    wait "$load" || fail "$(cat "$BATS_TEST_TMPDIR/load")"
    run wc-check --origin "$ORIGIN" "$CACHE"
    assert_success
    serve --origin "$ORIGIN" --type "$type" "$CACHE"
    crowd check
    stopped_well
  done
}

@test "wc-run: a crowd at work does not hold up the end" {
  blank_images
  serve --origin "$ORIGIN" --format --autocommit-time 3600000 "$CACHE"
  timeout 60 "${PYTHON[@]}" "$ROOT/tests/cli/nbd_crowd.py" "$URI" "$BATS_TEST_TMPDIR/crowd" load \
    >"$BATS_TEST_TMPDIR/load" 2>&1 3>&- &
  local load=$!
  at_work "$load"
  ctl stop
  ended
  assert_equal "$(cat "$BATS_TEST_TMPDIR/code")" 0
  wait "$load" || fail "$(cat "$BATS_TEST_TMPDIR/load")"
  serve --origin "$ORIGIN" "$CACHE"
  crowd check
  stopped_well
}

@test "wc-run: requests that no client should send" {
  blank_images
  serve --origin "$ORIGIN" --format "$CACHE"
  run timeout 120 "${PYTHON[@]}" "$ROOT/tests/cli/raw_nbd.py" "$XDG_RUNTIME_DIR/writecache/cache.img.nbd"
  assert_success
  ctl status | grep -q '^0 32768 writecache 0 ' || fail "$(ctl status)"
  stopped_well
  run wc-check --origin "$ORIGIN" "$CACHE"
  assert_success
}

# nbdkit may fail an assertion when such a client hangs up; then wc-run replaces it.
@test "wc-run: a client that takes no answers holds up no others, nor is anything lost when it hangs up" {
  local greedy turn
  blank_images
  serve --origin "$ORIGIN" --format "$CACHE"
  client unflushed
  for turn in 1 2 3; do
    "${PYTHON[@]}" "$ROOT/tests/cli/raw_nbd.py" "$XDG_RUNTIME_DIR/writecache/cache.img.nbd" greedy 2 \
      >"$BATS_TEST_TMPDIR/greedy" 3>&- &
    greedy=$!
    until [ -s "$BATS_TEST_TMPDIR/greedy" ]; do
      kill -0 "$greedy" || fail "the greedy client could not ask"
      sleep 0.1
    done
    client taken_over
    wait "$greedy"
    client taken_over
  done
  stopped_well
  run wc-check --origin "$ORIGIN" "$CACHE"
  assert_success
}

@test "wc-run ctl: garbage, half lines and a thousand connections do no harm" {
  blank_images
  serve --origin "$ORIGIN" --format "$CACHE"
  "${PYTHON[@]}" "$ROOT/tests/cli/control_abuse.py" "$XDG_RUNTIME_DIR/writecache/cache.img.ctl"
  stopped_well
}

@test "wc-run: TLS with certificates, through --nbdkit-option" {
  command -v openssl >/dev/null || skip "openssl is not installed"
  nbdkit --dump-config | grep -q '^tls=yes' || skip "nbdkit has no TLS"
  local server="$BATS_TEST_TMPDIR/server" client="$BATS_TEST_TMPDIR/client" stranger="$BATS_TEST_TMPDIR/stranger"
  mkdir "$server" "$client" "$stranger"
  cd "$BATS_TEST_TMPDIR"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca-cert.pem -days 2 -subj /CN=wc-test 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -keyout "$server/server-key.pem" -out server.csr -subj /CN=localhost 2>/dev/null
  printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >names
  openssl x509 -req -in server.csr -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile names \
    -out "$server/server-cert.pem" 2>/dev/null
  cp ca-cert.pem "$server"
  cp ca-cert.pem "$client"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout other-key.pem -out "$stranger/ca-cert.pem" -days 2 -subj /CN=other 2>/dev/null

  blank_images
  serve --origin "$ORIGIN" --format --nbd tcp:17811 --nbdkit-option=--tls=require \
    --nbdkit-option="--tls-certificates=$server" "$CACHE"
  run timeout 60 "${PYTHON[@]}" -c 'import nbd, sys; h = nbd.NBD(); h.connect_uri(sys.argv[1])' "$URI"
  assert_failure
  local attempt
  for attempt in "$client" "$stranger"; do
    run timeout 60 "${PYTHON[@]}" - "$attempt" <<'PYTHON'
import sys
import nbd
h = nbd.NBD()
h.set_tls(nbd.TLS_REQUIRE)
h.set_tls_certificates(sys.argv[1])
h.set_tls_verify_peer(True)
h.connect_tcp("localhost", "17811")
assert h.get_tls_negotiated()
h.pwrite(b"t" * 4096, 0)
h.flush()
assert h.pread(4096, 0) == b"t" * 4096
h.shutdown()  # gnutls under nbdkit 1.32 gives memory back that it still sends from, where a client just vanishes
PYTHON
    if [ "$attempt" = "$client" ]; then assert_success; else assert_failure; fi
  done
  stopped_well
}

@test "wc-run: TLS with pre-shared keys, through --nbdkit-option" {
  nbdkit --dump-config | grep -q '^tls=yes' || skip "nbdkit has no TLS"
  blank_images
  printf 'alice:%s\n' "$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')" >"$BATS_TEST_TMPDIR/keys"
  printf 'alice:%s\n' "$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')" >"$BATS_TEST_TMPDIR/wrong"
  serve --origin "$ORIGIN" --format --nbdkit-option=--tls=require --nbdkit-option="--tls-psk=$BATS_TEST_TMPDIR/keys" "$CACHE"
  local socket="$XDG_RUNTIME_DIR/writecache/cache.img.nbd"
  run timeout 60 nbdinfo --size "$URI"
  assert_failure
  run timeout 60 nbdinfo --size "nbds+unix://alice@/?socket=$socket&tls-psk-file=$BATS_TEST_TMPDIR/wrong"
  assert_failure
  run timeout 60 nbdcopy "nbds+unix://alice@/?socket=$socket&tls-psk-file=$BATS_TEST_TMPDIR/keys" "$BATS_TEST_TMPDIR/back"
  assert_success
  cmp "$BATS_TEST_TMPDIR/back" "$ORIGIN"
  stopped_well
}
