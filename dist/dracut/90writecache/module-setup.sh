#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2154  # dracut sets moddir and dracutsysrootdir
# Brings the dm-writecache module into the initramfs and, where /etc/writecachetab names a cache, wc-check and the rest.

# called by dracut
check() {
    return 0
}

# called by dracut
depends() {
    echo dm
}

# called by dracut
installkernel() {
    hostonly='' instmods dm-writecache
}

# called by dracut
install() {
    local prefix

    grep -q '^[[:space:]]*[^#[:space:]]' "$dracutsysrootdir/etc/writecachetab" 2>/dev/null || return 0
    for prefix in /usr /usr/local; do
        [[ ! -x $dracutsysrootdir$prefix/lib/writecache/boot-check ]] || break
    done
    inst_multiple mkdir sleep cat udevadm
    inst_multiple -o lvs pvs
    inst "$prefix/sbin/wc-check"
    inst_script "$prefix/lib/writecache/boot-check" /usr/lib/writecache/boot-check
    inst_simple "$prefix/lib/writecache/63-writecache.rules" /usr/lib/udev/rules.d/63-writecache.rules
    inst_simple /etc/writecachetab
    inst_hook initqueue/settled 01 "$moddir/check-caches.sh"
    inst_hook initqueue/finished 01 "$moddir/is-checked.sh"
    dracut_need_initqueue
}
