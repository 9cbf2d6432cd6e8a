// SPDX-License-Identifier: LGPL-2.1-or-later
// UndoLog: the append-only place where a repair saves every byte before it overwrites it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "writecache/api.hpp"
#include "writecache/result.hpp"

namespace wc {

/// A growing sequence of bytes. The library defines what it holds (doc/undo-format.md); the
/// implementation only stores it.
/// Contract: bytes appended before a successful sync survive a power cut; later ones may be lost or
/// cut short, never altered.
class WC_API UndoLog {
 public:
  virtual ~UndoLog() = default;
  virtual Result<std::uint64_t> size_bytes() = 0;
  /// Fills all of `memory` from `offset_bytes`. Errors: io (also beyond the end).
  virtual Result<void> read(std::uint64_t offset_bytes, std::span<std::byte> memory) = 0;
  virtual Result<void> append(std::span<const std::byte> data) = 0;
  /// Drops everything from `size_bytes` on: the torn tail of an interrupted repair.
  virtual Result<void> truncate(std::uint64_t size_bytes) = 0;
  virtual Result<void> sync() = 0;
};

}  // namespace wc
