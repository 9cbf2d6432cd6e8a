#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The Debian packages that cpack makes: their files, dependencies, lintian's opinion, and that a second run gives the same bytes.
# shellcheck disable=SC2154,SC2030,SC2031
bats_require_minimum_version 1.5.0
load /usr/lib/bats/bats-support/load
load /usr/lib/bats/bats-assert/load

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
DEBS="$WC_BUILD_DIR/packages"
export SOURCE_DATE_EPOCH=1700000000

make_debs() {
  rm -rf "$DEBS" "$WC_BUILD_DIR/_CPack_Packages"
  (cd "$WC_BUILD_DIR" && cpack -G DEB) >"$BATS_FILE_TMPDIR/cpack.log" 2>&1 || {
    cat "$BATS_FILE_TMPDIR/cpack.log"
    return 1
  }
}

setup_file() {
  command -v dpkg-shlibdeps >/dev/null || return 0
  make_debs
}

setup() {
  command -v dpkg-shlibdeps >/dev/null || skip "dpkg-shlibdeps is not installed (scripts/setup installs dpkg-dev)"
  shopt -s nullglob
}

# deb NAME: the file of this package.
deb() {
  local found=("$DEBS/$1"_*.deb)
  echo "${found[0]}"
}

files_of() {
  dpkg-deb --fsys-tarfile "$(deb "$1")" | tar -t | sed 's,^\.,,' | grep -v '/$'
}

# has PACKAGE PATH...
has() {
  local package=$1 path files
  files=$(files_of "$package")
  shift
  for path in "$@"; do
    grep -qxF "$path" <<<"$files" || fail "$package has no $path: $files"
  done
}

@test "packages: there are four, and each file is in its place" {
  local lib tool
  lib=/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
  assert_equal "$(cd "$DEBS" && echo *.deb | sed 's/_[^ ]*//g')" \
    "libwritecache-dev libwritecache0 nbdkit-plugin-writecache writecache-tools"
  has libwritecache0 "$lib/libwritecache.so.0"
  has libwritecache-dev "$lib/libwritecache.so" "$lib/pkgconfig/writecache.pc" "$lib/cmake/writecache/writecache-config.cmake" \
    /usr/include/writecache/engine.hpp
  has nbdkit-plugin-writecache "$lib/nbdkit/plugins/nbdkit-writecache-plugin.so" \
    /usr/share/man/man1/nbdkit-writecache-plugin.1.gz
  for tool in wc-check wc-dump wc-flush wc-format wc-run; do
    has writecache-tools "/usr/sbin/$tool" "/usr/share/man/man8/$tool.8.gz" \
      "/usr/share/bash-completion/completions/$tool" "/usr/share/zsh/vendor-completions/_$tool" \
      "/usr/share/fish/vendor_completions.d/$tool.fish"
  done
  has writecache-tools /usr/lib/systemd/system/wc-run@.service /usr/lib/systemd/system/wc-flush@.service \
    /usr/share/man/man7/writecache.7.gz /usr/share/man/man5/writecache-format.5.gz \
    /usr/share/writecache/schemas/writecache.check-1.json
  # No file is left out, and none is in two packages.
  local every
  every=$(for deb in "$DEBS"/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -t | grep -v '/$'; done)
  assert_equal "$(sort <<<"$every" | uniq -d)" ""
  DESTDIR="$BATS_TEST_TMPDIR/all" cmake --install "$WC_BUILD_DIR" >/dev/null
  assert_equal "$(sed 's,^\.,,' <<<"$every" | sort)" \
    "$(cd "$BATS_TEST_TMPDIR/all" && find . ! -type d | sed 's,^\.,,' | sort)"
}

@test "packages: each says in a line of its own what it is" {
  local deb count=0
  for deb in "$DEBS"/*.deb; do
    run dpkg-deb -f "$deb" Description
    assert_line --index 0 --regexp "dm-writecache"
    assert_line --index 1 --regexp "^ [A-Z]"
    count=$((count + 1))
  done
  assert_equal "$(for deb in "$DEBS"/*.deb; do dpkg-deb -f "$deb" Description | head -n 1; done | sort -u | wc -l)" "$count"
}

@test "packages: they depend on what they load, and on nothing that only builds" {
  local version=0.1.0-1
  run dpkg-deb -f "$(deb libwritecache0)" Depends
  assert_output --partial "liburing2"
  assert_output --partial "libpmem2 (>="
  assert_output --partial "libblkid1"
  refute_output --partial "-dev"
  for package in writecache-tools nbdkit-plugin-writecache libwritecache-dev; do
    run dpkg-deb -f "$(deb $package)" Depends
    assert_output --partial "libwritecache0 (= $version)"
  done
  run dpkg-deb -f "$(deb writecache-tools)" Depends
  assert_output --partial "libsystemd0"
  run dpkg-deb -f "$(deb nbdkit-plugin-writecache)" Depends
  assert_output --partial "nbdkit (>="
}

@test "packages: lintian reports no errors" {
  command -v lintian >/dev/null || skip "lintian is not installed (scripts/setup installs it)"
  run lintian --allow-root --no-cfg --fail-on error "$DEBS"/*.deb
  echo "$output"
  assert_success
  refute_output --regexp '(^|\n)E: '
}

@test "packages: lintian would notice a broken one" {
  command -v lintian >/dev/null || skip "lintian is not installed (scripts/setup installs it)"
  dpkg-deb -R "$(deb libwritecache-dev)" "$BATS_TEST_TMPDIR/tree"
  rm "$BATS_TEST_TMPDIR"/tree/usr/share/doc/libwritecache-dev/copyright
  dpkg-deb -b "$BATS_TEST_TMPDIR/tree" "$BATS_TEST_TMPDIR/broken.deb" >/dev/null
  run lintian --allow-root --no-cfg --fail-on error "$BATS_TEST_TMPDIR/broken.deb"
  assert_failure
  assert_output --partial "no-copyright-file"
}

@test "packages: nothing in them tells where they were built" {
  local deb
  for deb in "$DEBS"/*.deb; do
    dpkg-deb -R "$deb" "$BATS_TEST_TMPDIR/$(basename "$deb")"
  done
  run grep -rlF -e "$ROOT" -e "$WC_BUILD_DIR" "$BATS_TEST_TMPDIR"
  assert_output ""
  # What is debugged, before it is stripped, neither.
  run grep -lF -e "$ROOT" -e "$WC_BUILD_DIR" "$WC_BUILD_DIR"/bin/wc-* "$WC_BUILD_DIR"/lib/libwritecache.so
  assert_output ""
}

@test "packages: made again they are the same, byte for byte" {
  local first
  first=$(cd "$DEBS" && sha256sum *.deb)
  make_debs
  assert_equal "$(cd "$DEBS" && sha256sum *.deb)" "$first"
}
