# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # bats assigns and reads them
# SPDX-License-Identifier: LGPL-2.1-or-later
# Helpers for bats files about wc-run: it is served in the background, asked, stopped or killed; nothing outlives a case.

setup() {
  command -v nbdkit >/dev/null || skip "nbdkit is not installed"
  WC_TOOL=wc-run
  # Unix sockets have short names.
  XDG_RUNTIME_DIR=$(mktemp -d /tmp/wc-run.XXXXXX)
  export XDG_RUNTIME_DIR
  SERVER=
  AT_END=()
}

teardown() {
  [ -z "${SERVER:-}" ] || kill -9 "$SERVER" 2>/dev/null || true
  local turn
  for ((turn = ${#AT_END[@]} - 1; turn >= 0; --turn)); do
    eval "${AT_END[turn]}" || true
  done
  [ -z "${XDG_RUNTIME_DIR:-}" ] || rm -rf "$XDG_RUNTIME_DIR"
}

# at_end COMMAND: to be run when the case is over, however it ends; the last one first.
at_end() {
  AT_END+=("$1")
}

# serve WORD...: wc-run in the background until it is ready; sets SERVER and URI.
serve() {
  : >"$BATS_TEST_TMPDIR/out"
  wc-run "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
  SERVER=$!
  served
}

# served: waits until $SERVER is ready; sets URI.
served() {
  local turn
  for ((turn = 0; turn < 300; ++turn)); do
    URI=$(sed -n 's/^ready //p' "$BATS_TEST_TMPDIR/out")
    [ -z "$URI" ] || return 0
    kill -0 "$SERVER" 2>/dev/null || break
    sleep 0.1
  done
  fail "not ready: $(cat "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err")"
}

# ended: waits for the server; its exit status.
ended() {
  local code=0
  wait "$SERVER" || code=$?
  SERVER=
  no_sanitizer_report "$(cat "$BATS_TEST_TMPDIR/err")"
  echo "$code" >"$BATS_TEST_TMPDIR/code"
}

stopped_well() {
  kill -TERM "$SERVER"
  ended
  assert_equal "$(cat "$BATS_TEST_TMPDIR/code")" 0
}

# killed: kill -9 of wc-run; what serves goes with it at once, clients or not.
killed() {
  local child
  child=$(pgrep -P "$SERVER" || true)
  kill -9 "$SERVER"
  ended
  SECONDS=0
  while [ -n "$child" ] && kill -0 "$child" 2>/dev/null; do
    if [ "$SECONDS" -ge 30 ]; then
      kill -9 "$child"
      fail "the server outlives wc-run"
    fi
    sleep 0.05
  done
}

ctl() {
  timeout 60 wc-run ctl cache.img "$@"
}

client() {
  timeout 60 "${PYTHON[@]}" "$ROOT/tests/cli/nbd_client.py" "$URI" "$1"
}

# blank_images [CACHE_SIZE]: an origin of noise and an empty cache.
blank_images() {
  CACHE="$BATS_TEST_TMPDIR/cache.img"
  ORIGIN="$BATS_TEST_TMPDIR/origin.img"
  rm -f "$CACHE"
  truncate -s "${1:-4M}" "$CACHE"
  head -c 16M /dev/urandom >"$ORIGIN"
}
