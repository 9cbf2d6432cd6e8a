// SPDX-License-Identifier: LGPL-2.1-or-later
// Recovery: what the entries of a cache are at its start, for an engine that keeps them in memory.
#pragma once

#include <optional>

#include "store/scan.hpp"
#include "store/superblock_io.hpp"
#include "writecache/port.hpp"
#include "writecache/result.hpp"

namespace wc::store {

/// The superblock of a cache whose table line says `block_bytes`; nothing if the device is blank.
/// Errors: invalid_argument (a table line that does not fit, in the driver's own words), damaged (in them where it
/// refuses too), io.
Result<std::optional<OpenedCache>> open_sound_cache(IoPort& port, std::uint32_t block_bytes);

/// Reads all entries twice: to find out what is live, and to tell the visitor. Stale and uncommitted ones are those
/// that the driver's activation frees.
/// Errors: damaged (future, identical, misaligned, out-of-range or beyond-origin entries; nothing was told), io.
Result<void> recover(IoPort& port, const OpenedCache& cache, const BatchVisitor& visitor);

}  // namespace wc::store
