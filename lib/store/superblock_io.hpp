// SPDX-License-Identifier: LGPL-2.1-or-later
// Reads and durably writes the superblock of the cache device.
#pragma once

#include <optional>

#include "writecache/port.hpp"
#include "writecache/superblock.hpp"

namespace wc::store {

class UndoWriter;

/// The superblock as it stands; nothing if the device is too small to hold one. Errors: io.
Result<std::optional<Superblock>> read_superblock(IoPort& port);

/// Replaces the first 64 bytes and makes them durable before it returns; the other bytes of the first
/// logical block stay. What must be durable before it is the caller's to flush.
/// `undo`, if any, saves the old bytes first. Errors: io, those of the undo log.
Result<void> write_superblock(IoPort& port, const Superblock& superblock, UndoWriter* undo = nullptr);

/// The cache's superblock and geometry, for operations that need a sound one.
struct OpenedCache {
  Superblock superblock;
  Geometry geometry;
};
/// Errors: not_a_cache (with the driver's word for what is wrong with the superblock), io.
Result<OpenedCache> open_cache(IoPort& port);

}  // namespace wc::store
