// SPDX-License-Identifier: LGPL-2.1-or-later
// Scan: one bit a block finds sectors that occur twice; only those are compared, in a table.
#include "store/scan.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "index/bit_map.hpp"
#include "index/sector_table.hpp"
#include "index/superseded_set.hpp"
#include "reached.hpp"

namespace wc::store {
namespace {

using index::mixed;
using index::SectorTable;

constexpr std::size_t kZones = 4096;          ///< parts of the origin that the bits can tell apart
constexpr std::size_t kFarZone = kZones;      ///< everything else, misaligned sectors too
constexpr std::size_t kIdenticalPairsMax = 65536;
constexpr std::uint64_t kReseedsMax = 8;      ///< then parts are halved instead
constexpr std::size_t kLookAhead = 64;        ///< entries whose bits are prefetched
constexpr BlockIndex kCountedFlag = std::uint64_t{1} << 63;  ///< in Slot::index: counted as identical

/// Keeps the smallest kFindingEntriesMax, ascending.
void add_sample(std::vector<BlockIndex>& sample, BlockIndex index) {
  const auto at = std::lower_bound(sample.begin(), sample.end(), index);
  if (at == sample.end() && sample.size() == kFindingEntriesMax) return;
  if (at != sample.end() && *at == index) return;
  sample.insert(at, index);
  if (sample.size() > kFindingEntriesMax) sample.pop_back();
}

}  // namespace

struct Scan::Impl {
  /// How sectors of a zone that occur twice are found.
  enum class ZoneKind : std::uint8_t {
    bits,    ///< they are in `repeated`
    direct,  ///< every entry of the zone goes through the table
  };

  Impl(IoPort& port_in, const Geometry& geometry_in, Sequence sequence, const ScanOptions& options)
      : port(port_in),
        geometry(geometry_in),
        superblock_sequence(sequence),
        committed_below(options.uncommitted_is_live && sequence != kFreeSequence ? sequence + 1 : sequence),
        origin_sectors(options.origin_sectors.value_or(kSectorLimit)),
        key_shift(static_cast<unsigned>(std::countr_zero(geometry.sectors_per_block()))),
        bits(std::max(options.memory_bytes, kMemoryBytesMin) / 2),
        repeated(std::max(options.memory_bytes, kMemoryBytesMin) / 8),
        superseded(std::max(options.memory_bytes, kMemoryBytesMin) / 8, geometry.n_blocks),
        zone_shift(static_cast<unsigned>(std::countr_zero(bits.bit_count()))) {
    const Sector limit = std::min(origin_sectors, kSectorLimit);
    key_limit = (limit + geometry.sectors_per_block() - 1) >> key_shift;
  }

  /// Aligned sectors become block numbers; misaligned ones become numbers no device has.
  std::uint64_t key_of(Sector sector) const noexcept {
    return std::rotr(sector, static_cast<int>(key_shift));
  }
  std::size_t zone_of(std::uint64_t key) const noexcept {
    return static_cast<std::size_t>(std::min<std::uint64_t>(key >> zone_shift, kFarZone));
  }

  template <class Work>
  Result<void> each_batch(BlockIndex first, BlockIndex end, Observer& observer, const Work& work);
  void first_pass(const EntryBatch& batch);
  void unusual(BlockIndex index, const Entry& entry);
  void note_repeated(std::uint64_t key);
  Result<void> find_repeated(Observer& observer);
  void plan_zones();
  Result<void> resolve(BlockIndex window_begin, Observer& observer);
  /// The sectors whose rotated hashes lie between these, both included.
  struct Part {
    std::uint64_t first;
    std::uint64_t last;
  };
  bool resolve_batch(const EntryBatch& batch, SectorTable& table, Part part);
  bool resolve_entry(BlockIndex index, const Entry& entry, std::uint64_t hash, SectorTable& table);
  void supersede(BlockIndex index, bool is_identical);

  IoPort& port;
  Geometry geometry;
  Sequence superblock_sequence;
  Sequence committed_below;
  Sector origin_sectors;
  unsigned key_shift;
  std::uint64_t key_limit = 0;

  index::BitMap bits;
  index::SectorSet repeated;
  index::SupersededSet superseded;
  unsigned zone_shift;
  bool repeated_full = false;
  std::vector<std::uint64_t> zone_counts = std::vector<std::uint64_t>(kZones + 1, 0);
  std::vector<ZoneKind> zone_kinds = std::vector<ZoneKind>(kZones + 1, ZoneKind::bits);
  std::vector<std::size_t> bit_zones;     ///< zones beyond the first that get a pass of bits
  std::uint64_t candidates_max = 0;       ///< bound of the entries that go through the table
  std::uint64_t partitions = 0;           ///< passes that the table needs; 0: nothing to compare

  EntryCounts counts;
  ScanSamples samples;
  std::uint64_t committed = 0;
  std::uint64_t identical_losers = 0;
  std::vector<IdenticalPair> identical_pairs;
  std::optional<Sequence> highest;
  Sequence highest_committed = 0;
  std::uint64_t hash_seed = 0;            ///< of the table; changed when sectors were chosen to collide
  std::uint64_t reseeds = 0;
  bool counting = true;                   ///< the first resolve counts, later ones only collect
  std::optional<BlockIndex> window;       ///< where the window begins that `superseded` holds whole
  std::uint64_t done_bytes = 0;
  std::uint64_t total_bytes = 0;
};

template <class Work>
Result<void> Scan::Impl::each_batch(BlockIndex first, BlockIndex end, Observer& observer,
                                    const Work& work) {
  EntryStream stream(port, first, end);
  for (;;) {
    if (observer.is_cancelled()) return Error{ErrorCode::cancelled, 0, 0, "cancelled"};
    auto batch = stream.next();
    if (!batch) return batch.error();
    if (!*batch) return {};
    if (auto done = work(**batch); !done) return done;
    done_bytes += (*batch)->count * kEntryBytes;
    observer.on_progress({"scan", done_bytes, std::max(done_bytes, total_bytes)});
  }
}

void Scan::Impl::note_repeated(std::uint64_t key) {
  if (!repeated_full && !repeated.insert(key << key_shift)) repeated_full = true;
}

/// Counts everything and fills the bits of the first zone. The loop has no branch that depends on the
/// data except for what is rare; the bits are prefetched because they are in random order.
void Scan::Impl::first_pass(const EntryBatch& batch) {
  const std::uint64_t fast_limit = std::min(key_limit, bits.bit_count());
  const std::uint64_t ahead_mask = bits.bit_count() - 1;
  std::uint64_t free_count = 0;
  std::uint64_t usual_count = 0;
  Sequence highest_here = 0;
  for (std::size_t i = 0; i < batch.count; ++i) {
    bits.prefetch(key_of(batch[std::min(i + kLookAhead, batch.count - 1)].original_sector) & ahead_mask);
    const Entry entry = batch[i];
    const std::uint64_t key = key_of(entry.original_sector);
    const bool is_usual = (entry.seq_count < committed_below) & (key < fast_limit);
    const bool is_free = entry.seq_count == kFreeSequence;
    free_count += is_free ? 1 : 0;
    usual_count += is_usual ? 1 : 0;
    highest_here = std::max(highest_here, is_usual ? entry.seq_count : 0);
    if (bits.test_and_set(key & ahead_mask, is_usual)) [[unlikely]] note_repeated(key);
    if (!(is_usual | is_free)) [[unlikely]] unusual(batch.first_index + i, entry);
  }
  counts.free += free_count;
  committed += usual_count;
  zone_counts[0] += usual_count;
  highest_committed = std::max(highest_committed, highest_here);
}

/// An entry that is neither free nor a committed one of the first zone within the origin.
void Scan::Impl::unusual(BlockIndex index, const Entry& entry) {
  if (entry.seq_count >= committed_below) {
    highest = std::max(highest.value_or(0), entry.seq_count);
    if (entry.seq_count == superblock_sequence) {
      ++counts.uncommitted;
      add_sample(samples.uncommitted, index);
    } else {
      ++counts.future;
      add_sample(samples.future, index);
    }
    return;
  }
  ++committed;
  highest_committed = std::max(highest_committed, entry.seq_count);
  const std::uint64_t key = key_of(entry.original_sector);
  if (entry.original_sector % geometry.sectors_per_block() != 0) {
    ++counts.misaligned;
    add_sample(samples.misaligned, index);
  }
  if (entry.original_sector >= kSectorLimit) {
    ++counts.out_of_range;
    add_sample(samples.out_of_range, index);
  } else if (entry.original_sector >= origin_sectors) {
    ++counts.beyond_origin;
    add_sample(samples.beyond_origin, index);
  }
  const std::size_t zone = zone_of(key);
  ++zone_counts[zone];
  if (zone == 0 && bits.test_and_set(key)) note_repeated(key);
}

/// Chooses, for every zone but the first, the way that needs fewer passes over the metadata.
void Scan::Impl::plan_zones() {
  const std::uint64_t table_max = bits.size_bytes() / sizeof(SectorTable::Slot) / 4 * 3;
  std::vector<std::size_t> zones;
  for (std::size_t zone = 1; zone < kZones; ++zone) {
    if (zone_counts[zone] != 0) zones.push_back(zone);
  }
  std::sort(zones.begin(), zones.end(),
            [&](std::size_t a, std::size_t b) { return zone_counts[a] < zone_counts[b]; });
  std::uint64_t direct = zone_counts[kFarZone];
  zone_kinds[kFarZone] = ZoneKind::direct;
  std::size_t taken = 0;
  const auto take = [&] {
    direct += zone_counts[zones[taken]];
    zone_kinds[zones[taken]] = ZoneKind::direct;
    ++taken;
  };
  while (taken < zones.size() && direct + zone_counts[zones[taken]] <= table_max / 2) take();
  std::uint64_t rest = 0;
  for (std::size_t i = taken; i < zones.size(); ++i) rest += zone_counts[zones[i]];
  if (rest / (table_max / 2) + 1 < zones.size() - taken) {
    WC_REACHED("scan: sparse zones go through the table");
    while (taken < zones.size()) take();
  }
  bit_zones.assign(zones.begin() + static_cast<std::ptrdiff_t>(taken), zones.end());
  candidates_max = direct;
}

/// Finds the sectors that occur twice, or leaves their zones to the table.
Result<void> Scan::Impl::find_repeated(Observer& observer) {
  const std::uint64_t pass_bytes = geometry.n_blocks * kEntryBytes;
  total_bytes = pass_bytes;
  auto first = each_batch(0, geometry.n_blocks, observer, [&](const EntryBatch& batch) {
    first_pass(batch);
    return Result<void>{};
  });
  if (!first) return first;
  plan_zones();
  total_bytes += pass_bytes * bit_zones.size();
  const auto settle_zone = [&](std::size_t zone) {
    if (!repeated_full) return;
    WC_REACHED("scan: too many repeated sectors for the set");
    repeated_full = false;
    zone_kinds[zone] = ZoneKind::direct;
    candidates_max += zone_counts[zone];
  };
  settle_zone(0);
  for (const std::size_t zone : bit_zones) {
    WC_REACHED("scan: another pass for a far part of the origin");
    bits.clear();
    const std::uint64_t base = std::uint64_t{zone} << zone_shift;
    const std::uint64_t size = bits.bit_count();
    auto pass = each_batch(0, geometry.n_blocks, observer, [&](const EntryBatch& batch) {
      for (std::size_t i = 0; i < batch.count; ++i) {
        const Entry entry = batch[i];
        const std::uint64_t key = key_of(entry.original_sector) - base;
        if (entry.seq_count >= committed_below || key >= size) continue;
        if (bits.test_and_set(key) && !repeated_full && !repeated.insert(entry.original_sector)) {
          repeated_full = true;
        }
      }
      return Result<void>{};
    });
    if (!pass) return pass;
    settle_zone(zone);
  }
  // Each repeated sector stands at least twice, but takes one slot of the table.
  candidates_max += repeated.size();
  bits.clear();
  return {};
}

void Scan::Impl::supersede(BlockIndex index, bool is_identical) {
  superseded.add(index);
  if (!counting) return;
  ++counts.stale;
  if (!is_identical) add_sample(samples.stale, index);
}

/// What the driver does with a committed entry: the newest of its sector stays. False: table full.
bool Scan::Impl::resolve_entry(BlockIndex index, const Entry& entry, std::uint64_t hash,
                               SectorTable& table) {
  SectorTable::Slot* slot = table.find_or_add(entry.original_sector, hash);
  if (slot == nullptr) return false;
  if (SectorTable::is_new(*slot)) {
    slot->seq_count = entry.seq_count;
    slot->index = index;
    return true;
  }
  const BlockIndex kept = slot->index & ~kCountedFlag;
  if (entry.seq_count < slot->seq_count) {
    supersede(index, false);
    return true;
  }
  const bool is_identical = entry.seq_count == slot->seq_count;
  supersede(kept, is_identical);
  if (is_identical && counting) {
    counts.identical += (slot->index & kCountedFlag) != 0 ? 1 : 2;
    ++identical_losers;
    add_sample(samples.identical, kept);
    add_sample(samples.identical, index);
    const IdenticalPair pair{kept, index};
    if (identical_pairs.size() < kIdenticalPairsMax) identical_pairs.push_back(pair);
    if (!samples.first_identical || index < samples.first_identical->kept) samples.first_identical = pair;
  }
  slot->seq_count = entry.seq_count;
  slot->index = is_identical ? index | kCountedFlag : index;
  return true;
}

bool Scan::Impl::resolve_batch(const EntryBatch& batch, SectorTable& table, Part part) {
  for (std::size_t i = 0; i < batch.count; ++i) {
    const Entry entry = batch[i];
    if (entry.seq_count >= committed_below) continue;
    const std::size_t zone = zone_of(key_of(entry.original_sector));
    if (zone_kinds[zone] == ZoneKind::bits && !repeated.contains(entry.original_sector)) continue;
    const std::uint64_t hash = mixed(entry.original_sector);
    // The table goes by the upper half of the hash, the parts by the lower one first.
    const std::uint64_t place = std::rotl(hash, 32);
    if (place < part.first || place > part.last) continue;
    const std::uint64_t table_hash = hash_seed == 0 ? hash : mixed(entry.original_sector ^ hash_seed);
    if (!resolve_entry(batch.first_index + i, entry, table_hash, table)) return false;
  }
  return true;
}

/// Compares the candidates and collects those superseded from `window_begin` on.
Result<void> Scan::Impl::resolve(BlockIndex window_begin, Observer& observer) {
  window.reset();
  superseded.restart(window_begin);
  if (candidates_max == 0) {
    window = window_begin;
    return {};
  }
  const std::size_t wanted = std::max<std::uint64_t>(4096, candidates_max * 2 * sizeof(SectorTable::Slot));
  const std::size_t table_bytes = std::min<std::uint64_t>(bits.size_bytes(), wanted);
  if (partitions == 0) {
    const std::uint64_t capacity = table_bytes / sizeof(SectorTable::Slot) / 8 * 5;
    partitions = candidates_max / capacity + 1;
  }
  SectorTable table(bits.memory(), table_bytes);
  if (counting) total_bytes += partitions * geometry.n_blocks * kEntryBytes;
  constexpr std::uint64_t kHashMax = ~std::uint64_t{0};
  const std::uint64_t span_max = kHashMax / partitions;
  std::uint64_t span = span_max;
  for (std::uint64_t first_hash = 0;;) {
    const Part part{first_hash, span > kHashMax - first_hash ? kHashMax : first_hash + span};
    const EntryCounts counts_before = counts;
    const ScanSamples samples_before = samples;
    const std::size_t pairs_before = identical_pairs.size();
    const std::uint64_t losers_before = identical_losers;
    table.clear();
    bool overflowed = false;
    auto pass = each_batch(0, geometry.n_blocks, observer, [&](const EntryBatch& batch) {
      if (!overflowed) overflowed = !resolve_batch(batch, table, part);
      return Result<void>{};
    });
    if (!pass) return pass;
    if (overflowed) {
      // The hash spread them badly, by chance or because somebody chose the sectors so. Equal hashes are
      // equal sectors, so halves are small enough at the latest after 64 times. What was found superseded
      // stays true; only what was counted is taken back.
      if (table.is_flooded() && reseeds < kReseedsMax) {
        WC_REACHED("scan: sectors chosen to collide, hash changed");
        hash_seed = mixed(++reseeds);
      } else {
        WC_REACHED("scan: table too small for a part, part halved");
        span /= 2;
      }
      counts = counts_before;
      samples = samples_before;
      identical_pairs.resize(pairs_before);
      identical_losers = losers_before;
      continue;
    }
    if (part.last == kHashMax) break;
    first_hash = part.last + 1;
    span = span > span_max / 2 ? span_max : 2 * span + 1;
  }
  superseded.finish();
  window = window_begin;
  return {};
}

Scan::Scan(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Scan::~Scan() = default;
Scan::Scan(Scan&&) noexcept = default;
Scan& Scan::operator=(Scan&&) noexcept = default;

Result<Scan> Scan::run(IoPort& port, const Geometry& geometry, Sequence superblock_sequence,
                       const ScanOptions& options, Observer& observer) {
  auto impl = std::make_unique<Impl>(port, geometry, superblock_sequence, options);
  if (auto found = impl->find_repeated(observer); !found) return found.error();
  if (auto resolved = impl->resolve(0, observer); !resolved) return resolved.error();
  impl->counting = false;
  impl->counts.live = impl->committed - impl->counts.stale;
  if (impl->committed != 0) {
    impl->highest = std::max(impl->highest.value_or(0), impl->highest_committed);
  }
  return Scan(std::move(impl));
}

const EntryCounts& Scan::counts() const noexcept { return impl_->counts; }
const ScanSamples& Scan::samples() const noexcept { return impl_->samples; }
std::uint64_t Scan::identical_losers() const noexcept { return impl_->identical_losers; }
std::span<const IdenticalPair> Scan::identical_pairs() const noexcept { return impl_->identical_pairs; }
std::optional<Sequence> Scan::highest_sequence() const noexcept { return impl_->highest; }

Result<void> Scan::visit(const BatchVisitor& visitor, Observer& observer) const {
  Impl& impl = *impl_;
  std::vector<std::uint64_t> superseded_bits;
  BlockIndex begin = 0;
  while (begin < impl.geometry.n_blocks) {
    if (impl.window != begin) {
      WC_REACHED("scan: another window of superseded entries");
      if (auto resolved = impl.resolve(begin, observer); !resolved) return resolved;
    }
    const BlockIndex end = impl.superseded.end();
    impl.done_bytes = begin * kEntryBytes;
    impl.total_bytes = impl.geometry.n_blocks * kEntryBytes;
    auto visited = impl.each_batch(begin, end, observer, [&](const EntryBatch& batch) {
      const std::uint64_t* bits = nullptr;
      if (!impl.superseded.empty()) {
        superseded_bits.assign(batch.count / 64 + 1, 0);
        if (impl.superseded.copy_bits(batch.first_index, batch.count, superseded_bits)) {
          bits = superseded_bits.data();
        }
      }
      return visitor(ClassifiedBatch(batch, impl.committed_below, impl.superblock_sequence, bits));
    });
    if (!visited) return visited;
    begin = end;
  }
  return {};
}

}  // namespace wc::store
