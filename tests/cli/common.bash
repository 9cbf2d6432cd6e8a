# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # bats assigns and reads them
# SPDX-License-Identifier: LGPL-2.1-or-later
# Helpers for every bats file: a scratch directory, images from tests/images, JSON against its schema.
load /usr/lib/bats/bats-support/load
load /usr/lib/bats/bats-assert/load
load /usr/lib/bats/bats-file/load

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
RECIPES="$ROOT/tests/images/recipes.py"
PYTHON=(/usr/bin/python3 -B)

# make_images NAME: $CACHE and $ORIGIN in the scratch directory, from a recipe.
make_images() {
  CACHE="$BATS_TEST_TMPDIR/cache.img"
  ORIGIN="$BATS_TEST_TMPDIR/origin.img"
  "${PYTHON[@]}" "$RECIPES" "$1" "$CACHE" "$ORIGIN"
}

# checksum FILE...: one line for all of them.
checksum() {
  cat "$@" | sha256sum | cut -d' ' -f1
}

# assert_schema TOOL FILE: FILE is one JSON object that the tool's schema accepts.
assert_schema() {
  "${PYTHON[@]}" "$ROOT/tests/cli/validate.py" "$ROOT/doc/schemas/writecache.${1#wc-}-1.json" "$2" ||
    fail "$1: JSON does not match its schema: $(head -c 2000 "$2")"
}

# json EXPRESSION: evaluates a Python expression over `j`, the JSON object in the file $JSON.
json() {
  "${PYTHON[@]}" -c 'import json, sys; j = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$JSON" "$1"
}

# run_json COMMAND...: runs it, standard output into the file $JSON, standard error into $stderr_text; sets $status.
run_json() {
  JSON="$BATS_TEST_TMPDIR/out.json"
  status=0
  "$@" >"$JSON" 2>"$BATS_TEST_TMPDIR/err.txt" || status=$?
  stderr_text=$(<"$BATS_TEST_TMPDIR/err.txt")
}

# no_sanitizer_report TEXT: nothing in it comes from a sanitizer.
no_sanitizer_report() {
  case "$1" in
    *AddressSanitizer* | *LeakSanitizer* | *ThreadSanitizer* | *"runtime error:"*) fail "sanitizer report: $1" ;;
  esac
}

# is_sanitized: true if the commands were built with a sanitizer.
is_sanitized() {
  ldd "$(command -v "${1:-wc-check}")" | grep -Eq 'lib[atu]b?san|libasan|libtsan'
}
