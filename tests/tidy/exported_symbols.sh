#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Checks that a shared library defines only symbols of namespace wc (and their type data) for others: exported_symbols.sh LIBRARY
set -euo pipefail

library=$1
# Names after mangling: a function or object of wc, then typeinfo, vtables and thunks of its classes. The second pattern is
# the name of the symbol version itself.
ours='^_Z(N[KVRO]*|T[VTIS]N|TC?|Th?v?[n0-9_]+N[KVRO]*|Th[n0-9_]+N[KVRO]*|GVN)2wc'
version='^WRITECACHE_[0-9]+$'

symbols=$(nm -D --defined-only --format=posix "$library" | awk '{ sub(/@.*/, "", $1); print $1 }')
[ -n "$symbols" ] || { echo "$library exports nothing"; exit 1; }
foreign=$(grep -vE "$ours|$version" <<<"$symbols" || true)
count=$(grep -cE "$ours" <<<"$symbols" || true)
if [ -n "$foreign" ]; then
  echo "$library exports what is not of namespace wc:"
  c++filt <<<"$foreign"
  exit 1
fi
[ "$count" -gt 0 ] || { echo "$library exports nothing of namespace wc"; exit 1; }
echo "exported symbols: $count, all of namespace wc"
