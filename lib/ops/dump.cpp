// SPDX-License-Identifier: LGPL-2.1-or-later
// Showing a cache: the list of its entries, single data blocks, and a metadata image.
#include "writecache/dump.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "store/block_io.hpp"
#include "store/entry_stream.hpp"
#include "store/ordered_entries.hpp"
#include "store/scan.hpp"
#include "store/superblock_io.hpp"

namespace wc {
namespace {

constexpr std::size_t kListBatch = 4096;  // 128 KiB of ListedEntry: stays in the second-level cache

Error cancelled(const char* what) { return {ErrorCode::cancelled, 0, 0, std::string(what) + " was interrupted"}; }

// Collects entries and hands them on in batches.
class Batcher {
 public:
  Batcher(EntryStateSet states, const ListSink& sink) : sink_(sink), memory_(kListBatch) {
    for (unsigned state = 0; state < kStates; ++state)
      wanted_[state] = states.contains(EntryState{static_cast<std::uint8_t>(state)});
  }

  /// Lists `count` entries from `first` on; `entry_at(i)` and `state_of(i, sequence)` say what they are.
  template <class EntryAt, class StateOf>
  Result<void> add(BlockIndex first, std::size_t count, EntryAt entry_at, StateOf state_of) {
    for (std::size_t done = 0; done < count;) {
      const std::size_t stop = std::min(count, done + (memory_.size() - used_));
      std::size_t used = used_;
      ListedEntry* const out = memory_.data();
      // Written always and counted only if wanted: no branch that an arbitrary mix of states would mispredict.
      for (std::size_t i = done; i < stop; ++i) {
        const Entry entry = entry_at(i);
        const EntryState state = state_of(i, entry.seq_count);
        out[used] = {first + i, entry.original_sector, entry.seq_count, state};
        used += wanted_[static_cast<unsigned>(state)];
      }
      used_ = used;
      done = stop;
      if (used_ == memory_.size()) {
        if (auto handed = flush(); !handed) return handed;
      }
    }
    return {};
  }

  Result<void> flush() {
    if (used_ == 0) return {};
    const std::size_t count = std::exchange(used_, 0);
    return sink_(std::span<const ListedEntry>(memory_.data(), count));
  }

 private:
  static constexpr unsigned kStates = 5;
  const ListSink& sink_;
  std::vector<ListedEntry> memory_;
  std::size_t used_ = 0;
  std::array<std::uint8_t, kStates> wanted_{};
};

// free, uncommitted and future show in the entry itself: one pass without a scan.
Result<void> list_without_scan(IoPort& port, const store::OpenedCache& cache, const ListOptions& options,
                               const ListSink& sink, Observer& observer) {
  Batcher batcher(options.states, sink);
  store::EntryStream stream(port, 0, cache.geometry.n_blocks);
  const Sequence sequence = cache.superblock.seq_count;
  while (true) {
    if (observer.is_cancelled()) return cancelled("the listing");
    auto batch = stream.next();
    if (!batch) return batch.error();
    if (!*batch) return batcher.flush();
    const store::EntryBatch& entries = **batch;
    auto added = batcher.add(
        entries.first_index, entries.count, [&](std::size_t i) { return entries[i]; },
        [&](std::size_t, Sequence of) { return media::state_of(of, sequence); });
    if (!added) return added;
    observer.on_progress(
        {"list", (entries.first_index + entries.count) * kEntryBytes, cache.geometry.n_blocks * kEntryBytes});
  }
}

Result<void> list_by_index(const store::Scan& scan, const ListOptions& options, const ListSink& sink,
                           Observer& observer) {
  Batcher batcher(options.states, sink);
  auto visited = scan.visit(
      [&](const store::ClassifiedBatch& batch) -> Result<void> {
        const auto entry_at = [&](std::size_t i) { return batch.entry(i); };
        return batcher.add(batch.first_index(), batch.size(), entry_at,
                           [&](std::size_t i, Sequence of) { return batch.state(i, of); });
      },
      observer);
  if (!visited) return visited;
  return batcher.flush();
}

Result<void> list_in_order(const store::Scan& scan, const ListOptions& options, std::uint64_t memory_bytes,
                           const ListSink& sink, Observer& observer) {
  store::OrderedEntries ordered(scan, options.states, options.order, memory_bytes);
  while (true) {
    auto round = ordered.next_round(observer);
    if (!round) return round.error();
    std::span<const ListedEntry> left = *round;
    if (left.empty()) return {};
    while (!left.empty()) {
      if (observer.is_cancelled()) return cancelled("the listing");
      const std::size_t count = std::min(left.size(), kListBatch);
      if (auto handed = sink(left.first(count)); !handed) return handed;
      left = left.subspan(count);
    }
  }
}

}  // namespace

Result<ListReport> list_entries(IoPort& port, const ListOptions& options, const ListSink& sink, Observer& observer) {
  auto cache = store::open_cache(port);
  if (!cache) return cache.error();
  const bool by_index = options.order == EntryOrder::index;
  const bool needs_scan = options.states.contains(EntryState::live) || options.states.contains(EntryState::stale);
  if (by_index && !needs_scan) {
    if (auto listed = list_without_scan(port, *cache, options, sink, observer); !listed) return listed.error();
    return ListReport{};
  }

  // Sorting needs as much again as the scan.
  store::ScanOptions scan_options;
  scan_options.memory_bytes = std::max(kMemoryBytesMin, by_index ? options.memory_bytes : options.memory_bytes / 2);
  const DeviceInfo origin = port.info(DeviceId::origin);
  if (origin.present) scan_options.origin_sectors = sectors_of_bytes(origin.size_bytes);
  auto scan = store::Scan::run(port, cache->geometry, cache->superblock.seq_count, scan_options, observer);
  if (!scan) return scan.error();
  const std::uint64_t left = options.memory_bytes - std::min(options.memory_bytes, scan_options.memory_bytes);
  auto listed = by_index ? list_by_index(*scan, options, sink, observer)
                         : list_in_order(*scan, options, std::max(left, kMemoryBytesMin / 2), sink, observer);
  if (!listed) return listed.error();
  return ListReport{scan->counts()};
}

Result<void> read_block(IoPort& port, BlockIndex index, const ByteSink& sink) {
  auto cache = store::open_cache(port);
  if (!cache) return cache.error();
  const Geometry& geometry = cache->geometry;
  if (index >= geometry.n_blocks) {
    return Error{ErrorCode::invalid_argument, 0, 0,
                 "block " + std::to_string(index) + " does not exist (the cache has blocks 0 to " +
                     std::to_string(geometry.n_blocks - 1) + ")"};
  }
  std::vector<std::byte> block(geometry.block_bytes);
  auto read = store::read_bytes(port, DeviceId::cache, geometry.block_offset_bytes(index), block);
  if (!read) return read;
  return sink(block);
}

Result<void> dump_image(IoPort& port, const ImageSink& sink, Observer& observer) {
  // Where the superblock does not tell how many entries there are: as many as the smallest blocks would make.
  auto cache = store::open_cache(port);
  if (!cache && cache.error().code != ErrorCode::not_a_cache) return cache.error();
  auto n_entries = cache ? Result<std::uint64_t>(cache->geometry.n_blocks)
                         : capacity_blocks(port.info(DeviceId::cache).size_bytes, kMinBlockBytes);
  if (!n_entries) return n_entries.error();
  const std::uint64_t end_bytes = Geometry::entry_offset_bytes(*n_entries);
  std::vector<std::byte> superblock(kSuperblockBytes);
  if (auto read = store::read_bytes(port, DeviceId::cache, 0, superblock); !read) return read;
  if (auto written = sink(0, superblock); !written) return written;

  store::EntryStream stream(port, 0, *n_entries);
  while (true) {
    if (observer.is_cancelled()) return cancelled("the image");
    auto batch = stream.next();
    if (!batch) return batch.error();
    if (!*batch) return {};
    const store::EntryBatch& entries = **batch;
    const std::uint64_t offset_bytes = Geometry::entry_offset_bytes(entries.first_index);
    const std::span<const std::byte> raw(entries.raw, entries.count * kEntryBytes);
    if (auto written = sink(offset_bytes, raw); !written) return written;
    observer.on_progress({"image", offset_bytes + raw.size(), end_bytes});
  }
}

}  // namespace wc
