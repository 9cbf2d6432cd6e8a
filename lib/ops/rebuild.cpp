// SPDX-License-Identifier: LGPL-2.1-or-later
// Rebuilding a lost superblock from the entries behind it.
#include "ops/rebuild.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "media/entry.hpp"
#include "reached.hpp"
#include "store/block_io.hpp"
#include "store/entry_stream.hpp"

namespace wc::ops {
namespace {

// A commit a microsecond for half a year stays below; random bytes and foreign metadata rarely do.
constexpr Sequence kPlausibleSequence = Sequence{1} << 44;
/// Bad entries that do not yet prove that there are no entries at all.
constexpr std::uint64_t kBadAllowed = 16;
constexpr std::uint64_t kBadShare = 16;  ///< beyond that one in so many
/// A table that ends where no arithmetic puts its end must at least be this long.
constexpr std::uint64_t kShortestRun = 64;

enum class Look : std::uint8_t { free, committed, bad };

bool is_zero(const Entry& entry) noexcept { return entry.original_sector == 0 && entry.seq_count == 0; }

/// What a wipe leaves, or what an interrupted rebuild made of it.
bool is_wiped(const Entry& entry) noexcept {
  return entry.original_sector == 0 && (entry.seq_count == 0 || entry.seq_count == kFreeSequence);
}

Look look_at(const Entry& entry, std::uint32_t sectors_per_block) noexcept {
  const bool sector_fits =
      entry.original_sector < kSectorLimit && entry.original_sector % sectors_per_block == 0;
  if (entry.seq_count == kFreeSequence) {
    return sector_fits || entry.original_sector == kFreeSequence ? Look::free : Look::bad;
  }
  return sector_fits && entry.seq_count < kPlausibleSequence ? Look::committed : Look::bad;
}

void take(BlockSizeEvidence& size, BlockIndex index, const Entry& entry, bool in_wiped) {
  ++size.checked;
  if (in_wiped) {
    size.first_bad = size.run_end = size.checked;
    return;
  }
  Look look = look_at(entry, size.block_bytes >> kSectorShift);
  if (is_zero(entry)) {
    // One entry may rightly say sector 0, sequence 0. Where two do, both are zeros that nobody wrote.
    if (size.zeros == 0) size.first_zero = index;
    if (++size.zeros > 1) look = Look::bad;
    if (size.zeros == 2) --size.committed;
    if (size.zeros == 2 && size.highest == 0) --size.with_highest;
  }
  switch (look) {
    case Look::free: ++size.free; break;
    case Look::committed:
      ++size.committed;
      size.highest_sector = std::max(size.highest_sector, entry.original_sector);
      if (entry.seq_count > size.highest || size.with_highest == 0) {
        size.highest = entry.seq_count;
        size.with_highest = 0;
      }
      if (entry.seq_count == size.highest) ++size.with_highest;
      break;
    case Look::bad:
      if (size.bad == 0) size.first_bad = index;
      // Zeros in front of the data are no entry, which would make what lies there a block of sector 0.
      if (size.bad == 0) size.run_end = size.zeros != 0 && size.first_zero + 1 == index ? size.first_zero : index;
      ++size.bad;
      if (size.bad > kBadAllowed + (size.free + size.committed) / kBadShare) size.given_up = true;
      return;
  }
  if (size.bad == 0) size.first_bad = size.run_end = size.checked;
}

bool is_all_zeros(const store::EntryBatch& batch) noexcept {
  const std::size_t bytes = batch.count * kEntryBytes;
  return batch.raw[0] == std::byte{0} && std::memcmp(batch.raw, batch.raw + 1, bytes - 1) == 0;
}

/// A whole batch of zeros right behind a zeroed superblock: the usual blank device, which may be large.
void take_zeros(EntryEvidence& evidence, const store::EntryBatch& batch) {
  evidence.zeroed += batch.count;
  for (BlockSizeEvidence& size : evidence.sizes) {
    if (size.given_up || batch.first_index >= size.capacity) continue;
    size.checked += std::min<std::uint64_t>(batch.count, size.capacity - batch.first_index);
    size.first_bad = size.run_end = size.checked;
  }
}

/// What is known of one block size and count.
struct Hypothesis {
  std::uint32_t block_bytes;
  std::uint64_t n_blocks;
  const BlockSizeEvidence* size;
};

/// True if every entry below n_blocks looks like one.
bool is_exact(const Hypothesis& h) noexcept { return h.n_blocks <= h.size->first_bad; }

/// True if the whole table was looked at and at most a few entries are bad.
bool is_tolerable(const Hypothesis& h) noexcept {
  return !h.size->given_up && h.n_blocks == h.size->capacity && h.size->checked == h.size->capacity;
}

class Finder {
 public:
  Finder(const EntryEvidence& evidence, const std::optional<Superblock>& superblock,
         std::uint64_t area_bytes, const CheckOptions& options)
      : evidence_(evidence), superblock_(superblock), area_bytes_(area_bytes), options_(options) {}

  std::vector<RebuildCandidate> run() {
    // From the strongest evidence to the weakest; the first kind that fits decides.
    using Kind = bool (Finder::*)(const Hypothesis&) const;
    const std::array<Kind, 6> kinds = {&Finder::both_fields_stand, &Finder::fills_and_count_stands,
                                       &Finder::fills_device,      &Finder::one_field_stands,
                                       &Finder::run_ends_there,    &Finder::fills_loosely};
    for (const Kind kind : kinds) {
      std::vector<Hypothesis> found;
      for (const Hypothesis& h : hypotheses()) {
        if ((this->*kind)(h)) found.push_back(h);
      }
      drop_those_inside_a_larger_table(found);
      if (found.empty()) continue;
      std::vector<RebuildCandidate> out;
      for (const Hypothesis& h : found) add_candidates(h, out);
      return out;
    }
    return {};
  }

 private:
  bool block_size_stands(const Hypothesis& h) const {
    return superblock_ && superblock_->block_size == h.block_bytes;
  }
  bool count_stands(const Hypothesis& h) const { return superblock_ && superblock_->n_blocks == h.n_blocks; }

  /// The stored S is believed where the superblock around it is, or says so and S fits the entries.
  bool stored_sequence_stands(const Hypothesis& h) const {
    if (!superblock_ || superblock_->seq_count > kPlausibleSequence) return false;
    return both_fields_stand(h) ||
           (superblock_->magic == kMagic && superblock_->seq_count >= h.size->highest);
  }

  bool both_fields_stand(const Hypothesis& h) const {
    return is_exact(h) && block_size_stands(h) && count_stands(h) && is_wanted(h);
  }
  bool fills_and_count_stands(const Hypothesis& h) const {
    return is_exact(h) && h.n_blocks == h.size->capacity && count_stands(h) && is_wanted(h);
  }
  bool fills_device(const Hypothesis& h) const {
    return is_exact(h) && h.n_blocks == h.size->capacity && is_wanted(h) && ends_cleanly(h);
  }
  bool one_field_stands(const Hypothesis& h) const {
    return is_exact(h) && (block_size_stands(h) || count_stands(h)) && is_wanted(h) && is_long(h);
  }
  bool run_ends_there(const Hypothesis& h) const {
    return is_exact(h) && is_wanted(h) && is_long(h) && ends_cleanly(h);
  }
  bool fills_loosely(const Hypothesis& h) const {
    return is_tolerable(h) && h.size->committed != 0 && h.size->bad < h.size->committed + h.size->free && is_wanted(h);
  }

  /// True if what follows the table does not go on like a table: otherwise it is a part of a larger one,
  /// perhaps with a damaged entry in it. A block size that the user names needs no such proof.
  bool ends_cleanly(const Hypothesis& h) const {
    if (options_.table_block_bytes) return true;
    return evidence_.sizes[0].first_bad < h.n_blocks + kBadAllowed;
  }

  bool is_long(const Hypothesis& h) const {
    return options_.rebuild_n_blocks.has_value() ||
           (h.n_blocks >= evidence_.zeroed + kShortestRun && h.size->committed != 0);
  }
  bool is_wanted(const Hypothesis& h) const {
    if (options_.table_block_bytes && *options_.table_block_bytes != h.block_bytes) return false;
    const bool is_named = options_.table_block_bytes || block_size_stands(h);
    if (h.block_bytes > options_.page_bytes && !is_named) return false;
    return !options_.rebuild_n_blocks || *options_.rebuild_n_blocks == h.n_blocks;
  }

  std::vector<Hypothesis> hypotheses() const {
    std::vector<Hypothesis> out;
    for (const BlockSizeEvidence& size : evidence_.sizes) {
      std::vector<std::uint64_t> counts = {size.capacity, size.run_end};
      if (superblock_) counts.push_back(superblock_->n_blocks);
      if (options_.rebuild_n_blocks) counts.push_back(*options_.rebuild_n_blocks);
      std::sort(counts.begin(), counts.end());
      counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
      for (const std::uint64_t count : counts) {
        if (make_geometry(area_bytes_, size.block_bytes, count)) {
          out.push_back({size.block_bytes, count, &size});
        }
      }
    }
    return out;
  }

  /// A table whose data area would consist of well-formed entries, up to exactly where a smaller block
  /// size ends its table, is not one: its live blocks would have to hold entries as data.
  static void drop_those_inside_a_larger_table(std::vector<Hypothesis>& found) {
    const auto is_inside = [&](const Hypothesis& inner) {
      return std::any_of(found.begin(), found.end(), [&](const Hypothesis& outer) {
               const std::uint64_t outer_end = Geometry::entry_offset_bytes(outer.n_blocks);
               const std::uint64_t inner_data =
                   round_up(Geometry::entry_offset_bytes(inner.n_blocks), inner.block_bytes);
               return outer.n_blocks > inner.n_blocks && is_exact(outer) && outer.size->committed != 0 &&
                      outer_end >= inner_data + inner.block_bytes;
             });
    };
    std::vector<Hypothesis> kept;
    for (const Hypothesis& h : found) {
      if (!is_inside(h)) kept.push_back(h);
    }
    found = std::move(kept);
  }

  void add_candidates(const Hypothesis& h, std::vector<RebuildCandidate>& out) const {
    RebuildCandidate candidate;
    candidate.block_bytes = h.block_bytes;
    candidate.n_blocks = h.n_blocks;
    candidate.committed = h.size->committed;
    candidate.lost = std::min(evidence_.zeroed, h.n_blocks);
    candidate.evidence = describe(h);
    const Sequence above_all = h.size->committed != 0 ? h.size->highest + 1 : 0;
    if (options_.rebuild_seq_count) {
      candidate.seq_count = *options_.rebuild_seq_count;
      out.push_back(candidate);
      return;
    }
    const bool stored_stands = stored_sequence_stands(h);
    if (stored_stands && superblock_->seq_count == 0 && superblock_->magic == 0 && h.size->committed != 0) {
      // A format that was interrupted, over entries of an older cache: only the user knows which counts.
      WC_REACHED("rebuild: interrupted format over an older cache");
      candidate.seq_count = above_all;
      candidate.evidence += "; sequence above all entries: the older cache comes back";
      out.push_back(candidate);
      candidate.seq_count = 0;
      candidate.evidence = describe(h) + "; stored sequence 0: the interrupted format is finished";
      out.push_back(candidate);
      return;
    }
    if (stored_stands) {
      candidate.seq_count = superblock_->seq_count;
      candidate.evidence += "; the stored sequence stands";
    } else {
      candidate.seq_count = above_all;
      if (h.size->committed != 0) {
        const bool is_one = h.size->with_highest == 1;
        candidate.evidence += "; " + std::to_string(h.size->with_highest) +
                              (is_one ? " entry carries" : " entries carry") + " the highest sequence " +
                              std::to_string(h.size->highest) + (is_one ? " and counts" : " and count") +
                              " as committed (--seq-count " + std::to_string(h.size->highest) + " would drop " +
                              (is_one ? "it)" : "them)");
      }
    }
    out.push_back(candidate);
  }

  std::string describe(const Hypothesis& h) const {
    std::string text = h.n_blocks == h.size->capacity
                           ? "the table ends where the device's size puts it"
                           : "the entries end after " + std::to_string(h.n_blocks);
    if (block_size_stands(h)) text += "; the stored block size agrees";
    if (count_stands(h)) text += "; the stored number of blocks agrees";
    text += "; " + std::to_string(h.size->committed) + " committed, " + std::to_string(h.size->free) +
            " free";
    if (!is_exact(h)) text += ", " + std::to_string(h.size->bad) + " damaged";
    if (evidence_.zeroed != 0) {
      text += "; the first " + std::to_string(std::min(evidence_.zeroed, h.n_blocks)) +
              " entries were overwritten by zeros";
    }
    return text;
  }

  const EntryEvidence& evidence_;
  const std::optional<Superblock>& superblock_;
  std::uint64_t area_bytes_;
  const CheckOptions& options_;
};

}  // namespace

Result<EntryEvidence> gather_evidence(IoPort& port, const std::optional<Superblock>& superblock,
                                      Observer& observer) {
  EntryEvidence evidence;
  const std::uint64_t area_bytes = port.info(DeviceId::cache).size_bytes;
  std::uint64_t end = 0;
  std::uint64_t zeros_end = 0;  ///< nothing but zeros up to here: no cache of an ordinary block size
  for (std::size_t i = 0; i < kBlockSizes; ++i) {
    BlockSizeEvidence& size = evidence.sizes[i];
    size.block_bytes = kMinBlockBytes << i;
    const auto capacity = capacity_blocks(area_bytes, size.block_bytes);
    size.capacity = capacity ? *capacity : 0;
    size.given_up = size.capacity == 0;
    end = std::max(end, size.capacity);
    if (size.block_bytes == 4096) zeros_end = size.capacity;
  }
  if (end == 0) return evidence;
  const bool superblock_is_zero =
      superblock && superblock->magic == 0 && superblock->version == 0 && superblock->block_size == 0 &&
      superblock->n_blocks == 0 && superblock->seq_count == 0 && !superblock->has_nonzero_padding();
  bool in_wiped = superblock_is_zero;
  store::EntryStream stream(port, 0, end);
  for (;;) {
    if (observer.is_cancelled()) return Error{ErrorCode::cancelled, 0, 0, "cancelled"};
    auto batch = stream.next();
    if (!batch) return batch.error();
    if (!*batch) break;
    const bool is_taken = in_wiped && is_all_zeros(**batch);
    if (is_taken) take_zeros(evidence, **batch);
    for (std::size_t i = 0; i < (is_taken ? 0 : (*batch)->count); ++i) {
      const Entry entry = (**batch)[i];
      const BlockIndex index = (*batch)->first_index + i;
      if (in_wiped && !is_wiped(entry)) in_wiped = false;
      if (in_wiped) ++evidence.zeroed;
      for (BlockSizeEvidence& size : evidence.sizes) {
        if (index < size.capacity && !size.given_up) take(size, index, entry, in_wiped);
      }
    }
    const BlockIndex done = (*batch)->first_index + (*batch)->count;
    observer.on_progress({"look for entries", done * kEntryBytes, end * kEntryBytes});
    if (in_wiped && done >= zeros_end) break;
    const bool any_alive = std::any_of(evidence.sizes.begin(), evidence.sizes.end(), [&](const auto& size) {
      return !size.given_up && done < size.capacity;
    });
    if (!any_alive) break;
  }
  for (BlockSizeEvidence& size : evidence.sizes) {
    // A table of one entry, and that one zeros: nobody wrote it.
    if (size.zeros == 1 && size.committed == 1 && size.free == 0) size.committed = size.with_highest = 0;
  }
  return evidence;
}

std::vector<RebuildCandidate> find_candidates(const EntryEvidence& evidence,
                                              const std::optional<Superblock>& superblock,
                                              std::uint64_t area_bytes, const CheckOptions& options) {
  return Finder(evidence, superblock, area_bytes, options).run();
}

}  // namespace wc::ops
