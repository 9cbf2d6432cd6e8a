// SPDX-License-Identifier: LGPL-2.1-or-later
// The dirty map: how many live blocks lie in each equal part of the origin.
#include <algorithm>

#include "store/entry_stream.hpp"
#include "store/scan.hpp"
#include "store/superblock_io.hpp"
#include "writecache/dump.hpp"

namespace wc {
namespace {

constexpr std::size_t kCellsMax = std::size_t{1} << 20;

// The end of the last block that a device can have. A superseded entry names the same sector as a live one.
Result<Sector> end_of_live_blocks(IoPort& port, const store::OpenedCache& cache, Observer& observer) {
  Sector end = 0;
  store::EntryStream stream(port, 0, cache.geometry.n_blocks);
  while (true) {
    if (observer.is_cancelled()) return Error{ErrorCode::cancelled, 0, 0, "the map was interrupted"};
    auto batch = stream.next();
    if (!batch) return batch.error();
    if (!*batch) return end;
    for (std::size_t i = 0; i < (*batch)->count; ++i) {
      const Entry entry = (**batch)[i];
      if (entry.seq_count < cache.superblock.seq_count && entry.original_sector < kSectorLimit) {
        end = std::max(end, entry.original_sector + cache.geometry.sectors_per_block());
      }
    }
  }
}

void divide(DirtyMap& map, std::size_t cell_count, Sector sectors_per_block) {
  const Sector per_cell = map.origin_sectors / cell_count + (map.origin_sectors % cell_count != 0 ? 1 : 0);
  map.sectors_per_cell = round_up(std::max<Sector>(per_cell, 1), sectors_per_block);
  map.blocks_per_cell = map.sectors_per_cell / sectors_per_block;
  const Sector cells =
      map.origin_sectors / map.sectors_per_cell + (map.origin_sectors % map.sectors_per_cell != 0 ? 1 : 0);
  map.cells.resize(cells);
}

}  // namespace

Result<DirtyMap> dirty_map(IoPort& port, std::size_t cell_count, std::uint64_t memory_bytes, Observer& observer) {
  if (cell_count == 0 || cell_count > kCellsMax) {
    return Error{ErrorCode::invalid_argument, 0, 0, "a map has from 1 to 1048576 cells"};
  }
  auto cache = store::open_cache(port);
  if (!cache) return cache.error();

  DirtyMap map;
  const DeviceInfo origin = port.info(DeviceId::origin);
  if (origin.present) {
    map.origin_sectors = sectors_of_bytes(origin.size_bytes);
  } else {
    auto end = end_of_live_blocks(port, *cache, observer);
    if (!end) return end.error();
    map.origin_sectors = *end;
  }
  divide(map, cell_count, cache->geometry.sectors_per_block());

  store::ScanOptions scan_options;
  scan_options.memory_bytes = std::max(kMemoryBytesMin, memory_bytes);
  auto scan = store::Scan::run(port, cache->geometry, cache->superblock.seq_count, scan_options, observer);
  if (!scan) return scan.error();
  auto visited = scan->visit(
      [&](const store::ClassifiedBatch& batch) -> Result<void> {
        for (std::size_t i = 0; i < batch.size(); ++i) {
          const Entry entry = batch.entry(i);
          if (batch.state(i, entry.seq_count) != EntryState::live) continue;
          if (entry.original_sector >= map.origin_sectors) {
            ++map.beyond_end;
            continue;
          }
          DirtyMap::Cell& cell = map.cells[entry.original_sector / map.sectors_per_cell];
          ++cell.live;
          cell.oldest = std::min(cell.oldest, entry.seq_count);
          cell.newest = std::max(cell.newest, entry.seq_count);
        }
        return {};
      },
      observer);
  if (!visited) return visited.error();
  return map;
}

}  // namespace wc
