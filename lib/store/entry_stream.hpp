// SPDX-License-Identifier: LGPL-2.1-or-later
// EntryStream: reads the entries of a cache in index order, ahead of its consumer, in bounded memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "media/entry.hpp"
#include "store/block_io.hpp"
#include "writecache/superblock.hpp"

namespace wc::store {

/// A run of consecutive entries. Valid until the next call of EntryStream::next().
struct EntryBatch {
  BlockIndex first_index = 0;
  std::size_t count = 0;
  const std::byte* raw = nullptr;

  Entry operator[](std::size_t position) const noexcept {
    return media::load_entry(raw + position * kEntryBytes);
  }
};

/// Several reads are in flight while the consumer works. One stream at a time per port is fastest,
/// more are allowed.
class EntryStream {
 public:
  static constexpr std::size_t kChunkBytes = 1U << 20;
  static constexpr std::size_t kChunks = 3;
  /// Entries in the largest batch.
  static constexpr std::size_t kBatchMax = kChunkBytes / kEntryBytes;

  /// Entries from `first` (inclusive) to `end` (exclusive) of the area behind the superblock; they
  /// must lie inside the device.
  EntryStream(IoPort& port, BlockIndex first, BlockIndex end);
  ~EntryStream();
  EntryStream(const EntryStream&) = delete;
  EntryStream& operator=(const EntryStream&) = delete;

  /// The next batch in index order, nothing at the end. Errors: io; then the stream is at its end.
  Result<std::optional<EntryBatch>> next();

 private:
  struct Chunk {
    IoOp op;
    AlignedBuffer memory;
    std::uint64_t offset_bytes = 0;
    bool in_flight = false;
    std::optional<Result<void>> outcome;
  };
  void submit(Chunk& chunk);
  void settle() noexcept;

  IoPort& port_;
  BlockIndex next_index_;
  BlockIndex end_;
  std::uint64_t submit_offset_bytes_;
  std::uint64_t end_offset_bytes_;  ///< of the entries, rounded up to the logical block
  std::uint64_t chunk_bytes_;
  std::array<Chunk, kChunks> chunks_;
  std::size_t current_ = 0;
  bool holds_batch_ = false;
};

}  // namespace wc::store
