// SPDX-License-Identifier: LGPL-2.1-or-later
// EntryWriter: read, change and write back the sectors that hold the named entries.
#include "store/entry_writer.hpp"

#include <algorithm>

#include "media/entry.hpp"
#include "store/undo_writer.hpp"

namespace wc::store {
namespace {

constexpr std::uint64_t kPieceBytes = 64 << 10;
constexpr std::size_t kPiecesInFlight = 16;

}  // namespace

EntryWriter::EntryWriter(IoPort& port, UndoWriter* undo) : port_(port), undo_(undo) {}

/// Runs the first `count` pieces as one group of reads or writes and waits for all of them.
Result<void> EntryWriter::transfer(std::size_t count, IoKind kind) {
  struct Group {
    std::size_t left;
    Result<void> outcome;
  } group{count, {}};
  for (std::size_t i = 0; i < count; ++i) {
    IoOp& op = pieces_[i].op;
    op.kind = kind;
    op.device = DeviceId::cache;
    op.owner = &group;
    op.on_done = [](IoOp& done, Result<void> outcome) {
      auto& owner = *static_cast<Group*>(done.owner);
      --owner.left;
      if (!outcome && owner.outcome) owner.outcome = std::move(outcome);
    };
    port_.submit(op);
  }
  while (group.left != 0) port_.poll(Wait::for_one);
  return group.outcome;
}

Result<void> EntryWriter::set_sequence(std::span<const BlockIndex> indexes, Sequence sequence) {
  const std::uint64_t logical =
      std::max<std::uint64_t>(port_.info(DeviceId::cache).logical_block_bytes, kSectorBytes);
  if (pieces_.empty()) {
    pieces_.resize(kPiecesInFlight);
    for (Piece& piece : pieces_) piece.memory = AlignedBuffer(std::max(kPieceBytes, logical));
  }
  std::size_t next = 0;
  while (next < indexes.size()) {
    std::size_t count = 0;
    for (; count < pieces_.size() && next < indexes.size(); ++count) {
      Piece& piece = pieces_[count];
      const std::uint64_t start = round_down(Geometry::entry_offset_bytes(indexes[next]), logical);
      const std::uint64_t limit = round_down(start, piece.memory.size()) + piece.memory.size();
      std::size_t end = next;
      while (end < indexes.size() && Geometry::entry_offset_bytes(indexes[end]) < limit) ++end;
      piece.indexes = indexes.subspan(next, end - next);
      const std::uint64_t stop =
          round_up(Geometry::entry_offset_bytes(indexes[end - 1]) + kEntryBytes, logical);
      piece.op.offset_bytes = start;
      piece.op.memory = piece.memory.span(0, stop - start);
      next = end;
    }
    if (auto read = transfer(count, IoKind::read); !read) return read;
    if (undo_ != nullptr) {
      for (std::size_t i = 0; i < count; ++i) {
        if (auto saved = undo_->save(pieces_[i].op.offset_bytes, pieces_[i].op.memory); !saved) {
          return saved;
        }
      }
      if (auto synced = undo_->sync(); !synced) return synced;
    }
    for (std::size_t i = 0; i < count; ++i) {
      for (const BlockIndex index : pieces_[i].indexes) {
        const std::uint64_t at = Geometry::entry_offset_bytes(index) - pieces_[i].op.offset_bytes;
        media::store_sequence(pieces_[i].op.memory.data() + at, sequence);
      }
    }
    if (auto written = transfer(count, IoKind::write); !written) return written;
  }
  return {};
}

}  // namespace wc::store
