#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs a build into a scratch prefix and compiles a program against it, through pkg-config and through CMake:
# install.sh BUILD_DIR COMPILER
set -euo pipefail

build=$1 compiler=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
cmake --install "$build" --prefix "$prefix" >"$scratch/install.log"

cat >"$scratch/main.cpp" <<'SOURCE'
#include <iostream>
SOURCE
# Every public header has to compile without the private ones.
(cd "$prefix/include" && find writecache -name '*.hpp' | sort | sed 's/.*/#include "&"/') >>"$scratch/main.cpp"
echo 'int main() { std::cout << wc::version() << std::endl; }' >>"$scratch/main.cpp"

pkgconfig=$(dirname "$(find "$prefix" -name writecache.pc)")
libdir=$(dirname "$pkgconfig")
export PKG_CONFIG_PATH=$pkgconfig
mapfile -t flags < <(pkg-config --define-prefix --define-variable=prefix="$prefix" --define-variable=libdir="$libdir" \
  --define-variable=includedir="$prefix/include" --cflags --libs writecache | xargs -n1)
"$compiler" -std=c++20 -o "$scratch/by_pkg_config" "$scratch/main.cpp" "${flags[@]}"
by_pkg_config=$(LD_LIBRARY_PATH=$libdir "$scratch/by_pkg_config")

cat >"$scratch/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES CXX)
find_package(writecache 0.1 REQUIRED)
add_executable(by_cmake main.cpp)
target_link_libraries(by_cmake PRIVATE writecache::writecache)
CMAKE
cmake -G Ninja -S "$scratch" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$compiler" >"$scratch/cmake.log"
cmake --build "$scratch/build" >>"$scratch/cmake.log" || { cat "$scratch/cmake.log"; exit 1; }
by_cmake=$("$scratch/build/by_cmake")

version=$(pkg-config --modversion writecache)
echo "pkg-config says $version; linked by pkg-config: $by_pkg_config; linked by CMake: $by_cmake"
[ "$by_pkg_config" = "$version" ] && [ "$by_cmake" = "$version" ]

# What is installed starts without help from the build tree. A tree configured for /usr leaves the library to the linker's path.
if grep -qx 'CMAKE_INSTALL_PREFIX:PATH=/usr' "$build/CMakeCache.txt"; then
  export LD_LIBRARY_PATH=$libdir
fi
for tool in "$prefix"/sbin/wc-*; do
  [ -e "$tool" ] || break
  "$tool" --version >/dev/null || { echo "$(basename "$tool") --version fails once installed"; exit 1; }
done
