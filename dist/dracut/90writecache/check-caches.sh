#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by dracut's initqueue once udev has settled, before LVM is let loose: checks the caches, once.

if [ ! -e /run/writecache/released ]; then
    type emergency_shell >/dev/null 2>&1 || . /lib/dracut-lib.sh
    /usr/lib/writecache/boot-check check ||
        emergency_shell -n writecache \
            'writecache: boot stopped as /etc/writecachetab asks; exit this shell to go on, or add writecache.check=skip to the kernel command line'
    /usr/lib/writecache/boot-check release
fi
