#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# dracut's initqueue goes on until the caches have been checked.
[ -e /run/writecache/released ]
