// SPDX-License-Identifier: LGPL-2.1-or-later
// Marks what libwritecache.so exports.
#pragma once

/// Put before the name of a class or function that programs outside the library may use. Everything else is hidden.
#define WC_API __attribute__((visibility("default")))
