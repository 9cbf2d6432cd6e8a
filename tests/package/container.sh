#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Boots systemd in a folder, as the first process of namespaces of its own: container.sh ROOT [DEVICE...]
# It sees the block devices that are named, and nothing that it does reaches the machine: its /proc/sys and /sys are
# read-only, its control groups are below one that is removed at the end. Ends when the system has powered off.
set -euo pipefail

if [ "${1-}" != --inside ]; then
  groups=()
  while read -r _ folder type _; do
    case $type in
      cgroup | cgroup2)
        group=$folder/writecache-test-$$
        mkdir "$group"
        # A cpuset takes no process before it has processors.
        for file in cpuset.cpus cpuset.mems; do
          [ ! -e "$folder/$file" ] || cat "$folder/$file" >"$group/$file" 2>/dev/null || true
        done
        groups+=("$group")
        ;;
    esac
  done </proc/self/mounts
  for group in "${groups[@]}"; do
    echo $$ >"$group/cgroup.procs"
  done
  status=0
  unshare --mount --pid --fork --cgroup --uts --ipc --propagation private "$0" --inside "$@" || status=$?
  for group in "${groups[@]}"; do
    echo $$ >"$(dirname "$group")/cgroup.procs"
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
  exit "$status"
fi

root=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
while read -r _ folder type options _; do
  case $type in
    cgroup | cgroup2)
      mkdir -p "$root$folder"
      case $type in
        cgroup2) mount -t cgroup2 cgroup2 "$root$folder" ;;
        cgroup) mount -t cgroup -o "$(tr ',' '\n' <<<"$options" | grep -vE '^(rw|ro|nosuid|nodev|noexec|relatime|noatime|seclabel)$' |
          paste -sd,)" cgroup "$root$folder" ;;
      esac
      ;;
  esac
done < <(sort -u -k2,2 /proc/self/mounts)
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in /dev/null /dev/zero /dev/full /dev/random /dev/urandom "$@"; do
  cp -a "$device" "$root/dev/"
done
mkdir "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/run/old"
cd "$root"
pivot_root . run/old
umount -l /run/old
rmdir /run/old
exec env -i container=writecache-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --log-target=journal systemd.unit=basic.target \
  systemd.mask=timers.target </dev/null >/dev/null 2>&1
