#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Shows that the checks in this folder can fail: breaks every rule once in a scratch tree and expects the complaint.
set -euo pipefail

compiler=$1
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONDONTWRITEBYTECODE=1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
spdx='SPDX-License-Identifier: LGPL-2.1-or-later'

# Gives $tree a new small tree that keeps every rule.
fresh_tree() {
  tree=$scratch/tree
  rm -rf "$tree"
  mkdir -p "$tree"/lib/{media,index,store,ops,engine,io,device,include/writecache}
  local folder
  for folder in media index store ops engine io device; do
    printf '// %s\n#pragma once\n' "$spdx" >"$tree/lib/$folder/$folder.hpp"
  done
  printf '// %s\n#pragma once\n' "$spdx" >"$tree/lib/include/writecache/port.hpp"
}

# expect_pass WHAT CHECK ARGUMENT...
expect_pass() {
  local what=$1 output
  shift
  if ! output=$("$@" 2>&1); then
    echo "refused: $what"
    echo "$output"
    failures=$((failures + 1))
  fi
}

# expect_complaint TEXT CHECK ARGUMENT...: the check fails and says TEXT.
expect_complaint() {
  local text=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "not noticed: $text"
    failures=$((failures + 1))
  elif ! grep -qF -- "$text" <<<"$output"; then
    echo "noticed, but without saying: $text"
    echo "$output"
    failures=$((failures + 1))
  fi
}

# layering FILE LINE COMPLAINT: adds a line to a file of lib/ and expects the complaint.
layering() {
  fresh_tree
  printf '%s\n' "$2" >>"$tree/lib/$1"
  expect_complaint "$3" "$here/layering.py" "$tree"
}
fresh_tree
printf '#include "media/media.hpp"\n// time(nullptr) in a comment\nlong wait_time(int);\n' >>"$tree/lib/store/store.hpp"
printf '#include "io/io.hpp"\n#include <thread>\nstd::thread* worker;\n' >>"$tree/lib/device/device.hpp"
expect_pass "a tree that keeps the layering" "$here/layering.py" "$tree"
layering media/media.hpp '#include "store/store.hpp"' 'lib/media/ must not include lib/store/'
layering media/media.hpp '#include "../ops/ops.hpp"' 'lib/media/ must not include lib/ops/'
layering media/media.hpp '#include "io/io.hpp"' 'lib/media/ must not include lib/io/'
layering media/media.hpp '#include "device/device.hpp"' 'lib/media/ must not include lib/device/'
layering index/index.hpp '#include "store/store.hpp"' 'lib/index/ must not include lib/store/'
layering store/store.hpp '#include "ops/ops.hpp"' 'lib/store/ must not include lib/ops/'
layering ops/ops.hpp '#include "engine/engine.hpp"' 'lib/ops/ must not include lib/engine/'
layering ops/ops.hpp '#include "io/io.hpp"' 'lib/ops/ must not include lib/io/'
layering include/writecache/port.hpp '#include "media/media.hpp"' 'includes the private lib/media/'
layering include/writecache/port.hpp '#include <fmt/core.h>' 'a type of another library'
layering include/writecache/port.hpp '#include <boost/version.hpp>' 'a type of another library'
layering ops/ops.hpp 'std::thread worker;' 'std::thread outside'
layering ops/ops.hpp 'auto now = std::chrono::steady_clock::now();' '_clock::now outside'
layering ops/ops.hpp 'int x = rand();' 'rand( outside'
layering ops/ops.hpp 'long t = ::time(nullptr);' 'time( outside'
fresh_tree
mkdir "$tree/lib/misc" && printf '// %s\n' "$spdx" >"$tree/lib/misc/a.hpp"
expect_complaint 'has no place' "$here/layering.py" "$tree"

# hygiene FILE TEXT COMPLAINT: a file with that text is complained about.
hygiene() {
  fresh_tree
  mkdir -p "$(dirname "$tree/$1")"
  printf '%b' "$2" >"$tree/$1"
  expect_complaint "$3" "$here/hygiene.py" "$tree"
}
fresh_tree
expect_pass "a tidy tree" "$here/hygiene.py" "$tree"
hygiene lib/a.cpp 'int a;\n' 'has no SPDX line'
hygiene scripts/a '#!/bin/bash\n' 'has no SPDX line'
hygiene lib/a.cpp "// $spdx\n// $(printf '%0160d' 0)\n" 'more than 160'
hygiene README.md 'text \n' 'ends with blanks'
hygiene README.md 'text' 'does not end with a newline'
hygiene lib/a.cpp "// $spdx\n// TO""DO: later\n" 'finish it'
hygiene README.md "see /wo""rk/notes\n" 'outside the project'
hygiene README.md "see ../sha""red/notes\n" 'outside the project'
hygiene a.bin 'a\0b\n' 'is binary'
fresh_tree
head -c 1048577 /dev/zero | tr '\0' 'a' >"$tree/large.txt"
expect_complaint 'too many' "$here/hygiene.py" "$tree"

# symbols SOURCE: builds a shared library, as $scratch/lib.so.
build_library() {
  printf '%s\n' "$1" >"$scratch/lib.cpp"
  "$compiler" -std=c++20 -shared -fPIC -o "$scratch/lib.so" "$scratch/lib.cpp"
}
ours='namespace wc { struct A { virtual ~A(); virtual void f() const; }; A::~A() {} void A::f() const {}
struct B { virtual ~B(); virtual void g(); }; B::~B() {} void B::g() {} struct C : A, virtual B { void g() override; }; void C::g() {}
int run() { static A a; return 1; } }'
build_library "$ours"
expect_pass "a library of namespace wc" "$here/exported_symbols.sh" "$scratch/lib.so"
build_library "$ours int wcx_stray() { return 1; }"
expect_complaint 'wcx_stray' "$here/exported_symbols.sh" "$scratch/lib.so"
build_library "$ours namespace fmt { int stray; }"
expect_complaint 'fmt::stray' "$here/exported_symbols.sh" "$scratch/lib.so"
build_library "static int hidden; int* unused() __attribute__((visibility(\"hidden\"))); int* unused() { return &hidden; }"
expect_complaint 'exports nothing' "$here/exported_symbols.sh" "$scratch/lib.so"

if command -v shellcheck >/dev/null; then
  fresh_tree
  printf '#!/bin/bash\necho fine\n' >"$tree/a"
  expect_pass "a clean script" "$here/shellcheck.sh" "$tree"
  printf '#!/bin/bash\ncd $(ls)\nunused=1\n' >"$tree/a"
  expect_complaint 'SC2164' "$here/shellcheck.sh" "$tree"
else
  echo "shellcheck is not installed: its check was not tried"
fi

echo "selftest: $failures failures"
[ "$failures" -eq 0 ]
