// SPDX-License-Identifier: LGPL-2.1-or-later
// Fuzz target: every way to show an arbitrary cache, against the reference reader.
#include "writecache/dump.hpp"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "fuzz/fuzz_image.hpp"
#include "fuzz/fuzz_input.hpp"
#include "fuzz/memory_port.hpp"
#include "sim/image_builder.hpp"
#include "sim/oracle.hpp"

namespace wc::fuzz {
namespace {

using sim::Bytes;
using sim::ReferenceCache;

constexpr std::size_t kOriginBytes = 64 << 10;
using Row = std::tuple<std::uint64_t, BlockIndex, Sector, Sequence, EntryState>;  // the key of the order first

std::uint64_t key_of(EntryOrder order, BlockIndex index, Sector sector, Sequence sequence) {
  if (order == EntryOrder::sector) return sector;
  return order == EntryOrder::sequence ? sequence : index;
}

EntryState state_of(const ReferenceCache& reference, const std::map<Sector, BlockIndex>& live, BlockIndex index) {
  const Entry& entry = reference.entries[index];
  if (entry.seq_count == kFreeSequence) return EntryState::free;
  if (reference.is_committed(index)) {
    return live.at(entry.original_sector) == index ? EntryState::live : EntryState::stale;
  }
  return entry.seq_count == reference.superblock.seq_count ? EntryState::uncommitted : EntryState::future;
}

void check_listing(MemoryPort& port, const std::optional<ReferenceCache>& reference, unsigned state_bits) {
  ListOptions options;
  options.memory_bytes = kMemoryBytesMin;
  options.states = {};
  for (unsigned state = 0; state < 5; ++state) {
    if (((state_bits >> state) & 1U) != 0) {
      options.states = options.states.with(EntryState{static_cast<std::uint8_t>(state)});
    }
  }
  for (const EntryOrder order : {EntryOrder::index, EntryOrder::sector, EntryOrder::sequence}) {
    options.order = order;
    std::vector<Row> rows;
    Observer observer;
    const auto listed = list_entries(
        port, options,
        [&](std::span<const ListedEntry> batch) -> Result<void> {
          for (const ListedEntry& e : batch) {
            rows.emplace_back(key_of(order, e.index, e.sector, e.seq_count), e.index, e.sector, e.seq_count, e.state);
          }
          return {};
        },
        observer);
    require(listed.has_value() == reference.has_value(), "the listing and the reference disagree on what a cache is");
    if (!reference) continue;
    const auto live = reference->live();
    std::vector<Row> expected;
    for (BlockIndex index = 0; index < reference->entries.size(); ++index) {
      const Entry& entry = reference->entries[index];
      const EntryState state = state_of(*reference, live, index);
      if (!options.states.contains(state)) continue;
      expected.emplace_back(key_of(order, index, entry.original_sector, entry.seq_count), index, entry.original_sector,
                            entry.seq_count, state);
    }
    std::sort(expected.begin(), expected.end());
    require(rows == expected, "the listing differs from the reference");
  }
}

void check_merged(MemoryPort& port, const Bytes& cache, const Bytes& origin, Sector first, Sector count) {
  const auto reference = sim::read_reference(cache);
  Bytes content;
  Observer observer;
  const auto done = read_merged(
      port, first, count, kMemoryBytesMin,
      [&](std::span<const std::byte> data) -> Result<void> {
        content.insert(content.end(), data.begin(), data.end());
        return {};
      },
      observer);
  const Sector end = origin.size() / kSectorBytes;
  const bool fits = first <= end && count <= end - first;
  if (!reference || origin.empty() || !fits) {
    require(!done, "merged content of nothing");
    return;
  }
  if (!done) {
    require(done.error().code == ErrorCode::invalid_argument, "merged content cannot be read");
    return;
  }
  require(content.size() == count * kSectorBytes, "merged content of another length");
  const auto per_block = reference->superblock.block_size / kSectorBytes;
  for (const Entry& entry : reference->entries) {
    // The driver fails such reads; there is no right answer.
    if (entry.seq_count < reference->superblock.seq_count && entry.original_sector % per_block != 0) return;
  }
  const auto merged = sim::merged_content(cache, origin);
  require(std::equal(content.begin(), content.end(),
                     merged.origin.begin() + static_cast<std::ptrdiff_t>(first * kSectorBytes)),
          "merged content differs from the reference");
}

void check_map(MemoryPort& port, const std::optional<ReferenceCache>& reference, std::size_t cells) {
  Observer observer;
  const auto map = dirty_map(port, cells, kMemoryBytesMin, observer);
  if (!map) {
    require(!reference || cells == 0 || cells > (1U << 20), "a map failed");
    return;
  }
  require(reference.has_value() && map->cells.size() <= cells, "a map of nothing, or of too many cells");
  std::uint64_t live = map->beyond_end;
  for (const DirtyMap::Cell& cell : map->cells) live += cell.live;
  require(live == reference->live().size(), "the map does not count every live block once");
}

void check_image(MemoryPort& port, const Bytes& cache, const std::optional<ReferenceCache>& reference) {
  Bytes image(cache.size());
  Observer observer;
  const auto done = dump_image(
      port,
      [&](std::uint64_t offset, std::span<const std::byte> data) -> Result<void> {
        require(offset <= image.size() && data.size() <= image.size() - offset, "an image beyond the device");
        std::copy(data.begin(), data.end(), image.begin() + static_cast<std::ptrdiff_t>(offset));
        return {};
      },
      observer);
  // Of what is no cache as much as could be entries of the smallest blocks; nothing where not one such block fits.
  const auto most = capacity_blocks(cache.size(), kMinBlockBytes);
  require(done.has_value() == (reference || most), "an image of no cache, or none of one");
  if (!done) return;
  const std::size_t metadata = 64 + 16 * (reference ? reference->entries.size() : *most);
  require(std::equal(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(metadata), cache.begin()),
          "the image does not hold the metadata");
}

void run(FuzzInput input) {
  const std::uint8_t flags = input.u8();
  const unsigned states = input.u8();
  const bool is_wild = (flags & 2U) != 0;
  const Sector first = is_wild ? input.u64() : input.u8() % 160U;
  const Sector count = is_wild ? input.u64() : input.u8() % 160U;
  const std::size_t cells = (flags & 4U) != 0 ? input.u32() : 1 + input.u8();
  const BlockIndex block = (flags & 8U) != 0 ? input.u64() : input.u8() % 64U;
  const Bytes origin = (flags & 1U) != 0 ? Bytes() : sim::make_origin(kOriginBytes / kSectorBytes);
  MemoryPort::Device device = take_cache(input);
  if (device.content.empty()) return;
  device.writable = false;
  const Bytes cache = device.content;
  MemoryPort port(std::move(device), {origin, false, (flags & 16U) != 0 ? 4096U : 512U});
  const auto reference = sim::read_reference(cache);

  check_listing(port, reference, states);
  check_image(port, cache, reference);
  check_map(port, reference, cells);
  if (!origin.empty()) check_merged(port, cache, origin, first, count);

  Bytes content;
  const auto read = read_block(port, block, [&](std::span<const std::byte> data) -> Result<void> {
    content.insert(content.end(), data.begin(), data.end());
    return {};
  });
  require(read.has_value() == (reference && block < reference->entries.size()), "a block that is there cannot be read");
  if (read) {
    const auto expected = reference->block(cache, block);
    require(std::equal(expected.begin(), expected.end(), content.begin(), content.end()), "another block was read");
  }
}

}  // namespace
}  // namespace wc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wc::fuzz::run({data, size});
  return 0;
}
