// SPDX-License-Identifier: LGPL-2.1-or-later
// Showing a cache: its entries, its blocks, the merged content, a metadata image, a map.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "writecache/api.hpp"
#include "writecache/check.hpp"
#include "writecache/observer.hpp"
#include "writecache/port.hpp"
#include "writecache/result.hpp"
#include "writecache/superblock.hpp"

namespace wc {

enum class EntryOrder : std::uint8_t { index, sector, sequence };

/// One entry as it is listed.
struct ListedEntry {
  BlockIndex index = 0;
  Sector sector = 0;
  Sequence seq_count = 0;
  EntryState state = EntryState::free;
};

/// A set of entry states.
class EntryStateSet {
 public:
  constexpr EntryStateSet() = default;
  static constexpr EntryStateSet all() noexcept { return EntryStateSet{0x1f}; }
  constexpr EntryStateSet with(EntryState state) const noexcept {
    return EntryStateSet{static_cast<std::uint8_t>(bits_ | (1U << static_cast<unsigned>(state)))};
  }
  constexpr bool contains(EntryState state) const noexcept {
    return ((bits_ >> static_cast<unsigned>(state)) & 1U) != 0;
  }

 private:
  explicit constexpr EntryStateSet(std::uint8_t bits) noexcept : bits_(bits) {}
  std::uint8_t bits_ = 0;
};

struct ListOptions {
  EntryStateSet states = EntryStateSet{}.with(EntryState::live);
  EntryOrder order = EntryOrder::index;
  std::uint64_t memory_bytes = std::uint64_t{64} << 20;  ///< bound, whatever the order
};

/// Receives entries in batches, in the order asked for. An error stops the listing and is returned.
using ListSink = std::function<Result<void>(std::span<const ListedEntry> batch)>;

struct ListReport {
  /// Of the whole cache, whatever was listed. Nothing where states and order needed no scan.
  std::optional<EntryCounts> counts;
};

/// Lists entries of a cache whose superblock has a valid geometry (CheckReport::geometry).
/// Damaged entries are listed as they are. Errors: not_a_cache, io, cancelled, those of the sink.
WC_API Result<ListReport> list_entries(IoPort& port, const ListOptions& options, const ListSink& sink,
                                 Observer& observer);

/// Receives raw bytes in ascending order.
using ByteSink = std::function<Result<void>(std::span<const std::byte> data)>;

/// The data block `index`, whatever its entry says. Errors: not_a_cache, invalid_argument, io.
WC_API Result<void> read_block(IoPort& port, BlockIndex index, const ByteSink& sink);

/// Merged content: the origin from `sector` on, overlaid with live blocks.
/// Errors: not_a_cache, invalid_argument (beyond the origin's end), io, cancelled.
WC_API Result<void> read_merged(IoPort& port, Sector sector, Sector count, std::uint64_t memory_bytes,
                                const ByteSink& sink, Observer& observer);

/// Superblock and entries, to be written at the offsets given; the rest of the image, up to
/// `DeviceInfo::size_bytes` of the cache, is a hole. Where the superblock does not tell where the entries end, all that
/// can be entries. Errors: io, cancelled, no_space (no cache fits), those of the sink.
using ImageSink =
    std::function<Result<void>(std::uint64_t offset_bytes, std::span<const std::byte> data)>;
WC_API Result<void> dump_image(IoPort& port, const ImageSink& sink, Observer& observer);

/// How many live blocks lie in each equal part of the origin.
struct DirtyMap {
  std::uint64_t origin_sectors = 0;   ///< the origin's size, or the end of the last live block
  Sector sectors_per_cell = 1;        ///< multiple of the block size
  std::uint64_t blocks_per_cell = 1;  ///< capacity of a full cell
  std::uint64_t beyond_end = 0;       ///< live blocks at or behind origin_sectors, in no cell
  struct Cell {
    std::uint64_t live = 0;
    Sequence oldest = kFreeSequence;  ///< lowest sequence among its live blocks
    Sequence newest = 0;
  };
  std::vector<Cell> cells;
};
/// At most `cell_count` cells, 1 to 2^20; a block counts where it begins.
/// Errors: not_a_cache, invalid_argument, io, cancelled.
WC_API Result<DirtyMap> dirty_map(IoPort& port, std::size_t cell_count, std::uint64_t memory_bytes,
                                  Observer& observer);

}  // namespace wc
