#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Puts the newest Debian 6.12 cloud kernel and the modules the suite needs into a folder of the build tree.
#
# usage: kernel.sh FOLDER
# Afterwards FOLDER holds vmlinuz, more/*.ko (for tools_disk.py), modules/*.ko (decompressed), linux-image.deb and version.
# Nothing is installed. A folder filled earlier is used again, so only the first run needs the network. Exit 77, with the
# reason, when the package cannot be had; 1 for everything else.
set -euo pipefail

folder=${1:?usage: kernel.sh FOLDER}
pattern='^linux-image-6\.12.*-cloud-amd64-unsigned$'
modules='virtio_blk dax libnvdimm nd_btt nd_pmem nd_e820 dm-mod dm-bufio dm-delay dm-writecache'
more_modules='libcrc32c xfs brd ublk_drv'

skip() {
  echo "skipped: $*"
  exit 77
}

fail() {
  echo "kernel.sh: $*"
  exit 1
}

for program in qemu-system-x86_64 dmsetup cpio ldd flock; do
  PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || fail "$program is not installed (run scripts/setup)"
done
[ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || fail 'busybox-static is not installed (run scripts/setup)'

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
exec 9>"$folder/lock"
flock 9
[ -e "$folder/version" ] && [ -d "$folder/more" ] && [ -e "$folder/linux-image.deb" ] && exit 0

for program in apt-cache apt-get dpkg; do
  command -v "$program" >/dev/null || skip "the kernel is a Debian package, and there is no $program here"
done
command -v xz >/dev/null || fail 'xz is not installed (run scripts/setup)'

work=$folder/unpack
rm -rf "$work" "$folder/modules"
mkdir -p "$work/lists/partial" "$folder/modules" "$folder/more"
options=(-o Acquire::Retries=3)
trouble=

# Sets `package` to the newest one and downloads it; on failure `trouble` says why.
download() {
  package=$(apt-cache "${options[@]}" search --names-only "$pattern" 2>>"$work/apt.log" | awk '{ print $1 }' | sort -V | tail -n 1)
  if [ -z "$package" ]; then
    trouble='apt-cache knows no linux-image-6.12.*-cloud-amd64-unsigned'
    return 1
  fi
  if ! (cd "$work" && apt-get -q "${options[@]}" download "$package" >>apt.log 2>&1); then
    trouble="apt-get cannot download $package"
    return 1
  fi
}

if ! download; then
  # The machine's package lists may be missing or older than the mirror: lists of our own need no rights.
  options+=(-o "Dir::State::Lists=$work/lists" -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache=")
  apt-get -q "${options[@]}" update >>"$work/apt.log" 2>&1 || true  # one dead source of several is no obstacle
  download || skip "$trouble (no network?): $(grep -aE '^[EW]:' "$work/apt.log" | tail -n 1)"
fi

dpkg -x "$work"/*.deb "$work/root"
cp "$work"/root/boot/vmlinuz-* "$folder/vmlinuz"
# unpack FOLDER MODULE: one that is not in the package is built into this kernel; the guest fails loudly if it is not.
unpack() {
  local file
  file=$(find "$work/root" \( -name "$2.ko" -o -name "$2.ko.xz" \) | head -n 1)
  case $file in
    *.xz) xz -dc "$file" >"$1/$2.ko" ;;
    *.ko) cp "$file" "$1/$2.ko" ;;
  esac
}
for module in $modules; do unpack "$folder/modules" "$module"; done
for module in $more_modules; do unpack "$folder/more" "$module"; done
for module in virtio_blk dm-mod dm-writecache nd_pmem nd_e820 libnvdimm; do
  [ -e "$folder/modules/$module.ko" ] || fail "$package holds no $module"
done
printf '%s\n' $modules >"$folder/modules/order"
mv "$work"/*.deb "$folder/linux-image.deb"
rm -rf "$work"
echo "$package" >"$folder/version"
