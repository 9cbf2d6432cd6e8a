// SPDX-License-Identifier: LGPL-2.1-or-later
// WC_API marks what libwritecache.so exports; everything else is hidden.
#pragma once

#define WC_API __attribute__((visibility("default")))
