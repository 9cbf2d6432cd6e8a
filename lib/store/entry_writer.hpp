// SPDX-License-Identifier: LGPL-2.1-or-later
// EntryWriter: changes the sequence of many entries with as few writes as possible.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "store/block_io.hpp"
#include "writecache/superblock.hpp"

namespace wc::store {

class UndoWriter;

/// Reads, changes and writes back the sectors that hold the named entries, several in flight.
class EntryWriter {
 public:
  /// `undo`, if any, is synced with the old bytes before anything is overwritten.
  explicit EntryWriter(IoPort& port, UndoWriter* undo = nullptr);

  /// Sets seq of every entry of `indexes` (strictly ascending); their sectors stay. Durable only after
  /// a flush of the cache. On an error any part of it may have happened. Errors: io, the undo log's.
  Result<void> set_sequence(std::span<const BlockIndex> indexes, Sequence sequence);

 private:
  struct Piece {
    IoOp op;
    AlignedBuffer memory;
    std::span<const BlockIndex> indexes;
  };
  Result<void> transfer(std::size_t count, IoKind kind);

  IoPort& port_;
  UndoWriter* undo_;
  std::vector<Piece> pieces_;
};

}  // namespace wc::store
