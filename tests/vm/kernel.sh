#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Puts the newest Debian 6.12 cloud kernel and the modules the suite needs into a folder of the build tree.
#
# usage: kernel.sh FOLDER
# Afterwards FOLDER holds vmlinuz, modules/*.ko (decompressed) and version. Nothing is installed. A folder filled
# earlier is used again, so only the first run needs the network. Exit 77, with the reason, when it cannot be done.
set -euo pipefail

folder=${1:?usage: kernel.sh FOLDER}
pattern='^linux-image-6\.12.*-cloud-amd64-unsigned$'
modules='virtio_blk dax libnvdimm nd_btt nd_pmem nd_e820 dm-mod dm-bufio dm-delay dm-writecache'

skip() {
  echo "skipped: $*"
  exit 77
}

for program in apt-cache apt-get dpkg xz qemu-system-x86_64 dmsetup cpio ldd; do
  PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || skip "$program is not installed (scripts/setup installs it)"
done
[ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || skip 'busybox-static is not installed (scripts/setup installs it)'

mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
[ -e "$folder/version" ] && exit 0

package=$(apt-cache search --names-only "$pattern" | awk '{ print $1 }' | sort -V | tail -n 1)
[ -n "$package" ] || skip 'apt-cache knows no linux-image-6.12.*-cloud-amd64-unsigned (apt-get update?)'

work=$folder/unpack
rm -rf "$work" "$folder/modules"
mkdir -p "$work" "$folder/modules"
(cd "$work" && apt-get -q download "$package" >download.log 2>&1) ||
  skip "apt-get download $package failed: $(tail -n 1 "$work/download.log")"
dpkg -x "$work"/*.deb "$work/root"
cp "$work"/root/boot/vmlinuz-* "$folder/vmlinuz"
for module in $modules; do
  # A module that is not in the package is built into this kernel; the guest fails loudly if it is not.
  file=$(find "$work/root" \( -name "$module.ko" -o -name "$module.ko.xz" \) | head -n 1)
  case $file in
    *.xz) xz -dc "$file" >"$folder/modules/$module.ko" ;;
    *.ko) cp "$file" "$folder/modules/$module.ko" ;;
  esac
done
for module in virtio_blk dm-mod dm-writecache nd_pmem nd_e820 libnvdimm; do
  [ -e "$folder/modules/$module.ko" ] || { echo "kernel.sh: $package holds no $module"; exit 1; }
done
printf '%s\n' $modules >"$folder/modules/order"
rm -rf "$work"
echo "$package" >"$folder/version"
