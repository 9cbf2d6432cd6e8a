#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Unpacks a small Debian with initramfs-tools, dracut, lvm2 and what they need into a folder of the build tree.
#
# usage: debian_root.sh FOLDER
# Afterwards FOLDER/root is the system and FOLDER/version names the packages it was made of. Nothing is installed: no
# maintainer script runs. A folder filled earlier is used again. Exit 77, with the reason, when the packages cannot be
# had; 1 for everything else.
set -euo pipefail

folder=${1:?usage: debian_root.sh FOLDER}
# The first line is the system itself, the second what is tested, the third what wc-check is linked to.
packages='base-files bash dash coreutils findutils grep sed gzip cpio kmod util-linux mawk libc-bin dpkg zstd
  initramfs-tools-core dracut-core lvm2 busybox udev systemd systemd-sysv
  libboost-program-options1.74.0 libfmt9 liburing2 libpmem2 libblkid1 libstdc++6'

skip() {
  echo "skipped: $*"
  exit 77
}

fail() {
  echo "debian_root.sh: $*"
  exit 1
}

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
exec 9>"$folder/lock"
flock 9
[ -e "$folder/version" ] && [ "$(head -n 1 "$folder/version")" = "$(echo $packages)" ] && exit 0
for program in apt-get dpkg-deb; do
  command -v "$program" >/dev/null || skip "the test system is made of Debian packages, and there is no $program here"
done

work=$folder/unpack
rm -rf "$work" "$folder/root" "$folder/version"
mkdir -p "$work/lists/partial" "$work/archives/partial"
options=(-q -y -o Acquire::Retries=3 -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Dir::State::status=/dev/null
  -o "Dir::Cache::archives=$work/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)

download() {
  # shellcheck disable=SC2086
  apt-get "${options[@]}" --download-only --no-install-recommends install $packages >>"$work/apt.log" 2>&1
}

if ! download; then
  # The machine's package lists may be missing or older than the mirror: lists of our own need no rights.
  options+=(-o "Dir::State::Lists=$work/lists")
  apt-get "${options[@]}" update >>"$work/apt.log" 2>&1 || true  # one dead source of several is no obstacle
  download || skip "apt-get cannot download Debian's packages (no network?): $(grep -aE '^[EW]:' "$work/apt.log" | tail -n 1)"
fi

root=$work/root
for link in bin sbin lib lib64; do
  mkdir -p "$root/usr/$link"
  ln -s "usr/$link" "$root/$link"
done
for package in "$work"/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink --no-same-owner \
    --exclude='./usr/share/doc/*' --exclude='./usr/share/locale/*' --exclude='./usr/share/man/*'
done
# What maintainer scripts would have made.
ln -s dash "$root/usr/bin/sh.new" && mv "$root/usr/bin/sh.new" "$root/usr/bin/sh"
ln -s mawk "$root/usr/bin/awk"
echo 'root:x:0:0:root:/root:/bin/bash' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
mkdir -p "$root/etc/initramfs-tools/conf.d" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/run" "$root/boot"
chmod 1777 "$root/tmp" "$root/var/tmp"
[ -x "$root/usr/sbin/mkinitramfs" ] && [ -x "$root/usr/bin/dracut" ] && [ -x "$root/usr/sbin/lvm" ] || fail 'a program is missing'
rm -rf "$folder/root"
mv "$root" "$folder/root"
{
  echo $packages
  (cd "$work/archives" && ls ./*.deb)
} >"$folder/version.new"
rm -rf "$work"
mv "$folder/version.new" "$folder/version"
