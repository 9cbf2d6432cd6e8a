#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds what is shipped twice, in two folders with names of different length and without a compiler cache, and compares the
# packages: reproducible.sh SOURCE
set -euo pipefail

source=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export SOURCE_DATE_EPOCH=1700000000
for folder in "$scratch/a" "$scratch/another, longer folder"; do
  mkdir "$folder"
  (cd "$source" && tar -c --exclude=./build --exclude=./.git .) | tar -x -C "$folder"
  (
    cd "$folder"
    cmake --preset release -DWC_BUILD_TESTS=OFF -DWC_BUILD_BENCH=OFF -DWC_CCACHE=OFF >/dev/null
    cmake --build build/release --target shipped >/dev/null
    cd build/release && cpack -G DEB >/dev/null
    cd packages && sha256sum ./*.deb >"$scratch/sums.new"
  )
  [ ! -e "$scratch/sums" ] || diff "$scratch/sums" "$scratch/sums.new"
  mv "$scratch/sums.new" "$scratch/sums"
done
echo "reproducible: $(wc -l <"$scratch/sums") packages are equal"
