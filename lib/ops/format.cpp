// SPDX-License-Identifier: LGPL-2.1-or-later
// Formatting: invalidates the old magic, writes the entries, then the superblock, each durable in turn.
#include "writecache/format.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "media/entry.hpp"
#include "media/superblock.hpp"
#include "ops/rebuild.hpp"
#include "reached.hpp"
#include "store/block_io.hpp"
#include "store/entry_stream.hpp"
#include "store/entry_writer.hpp"
#include "store/superblock_io.hpp"
#include "writecache/check.hpp"

namespace wc {
namespace {

constexpr std::uint64_t kWipeBytes = 4096;
constexpr BlockIndex kWipedEntries = (kWipeBytes - kSuperblockBytes) / kEntryBytes;

/// What stands on the device, as far as overwriting it is concerned.
struct Existing {
  bool is_cache = false;   ///< a writecache, sound or damaged
  bool is_dirty = false;   ///< live blocks, or metadata that may name some
  std::uint64_t live = 0;  ///< where they can be counted
  std::vector<Geometry> tables;  ///< where entries stand, or may stand, that are not free
};

/// The entries that a format puts on the device: those of a source, checked, and free ones elsewhere.
class EntryFeed {
 public:
  EntryFeed(EntrySource* source, std::uint64_t n_blocks) : source_(source), n_blocks_(n_blocks) {}

  /// Looks at the next item without taking it; nothing at the end.
  Result<const EntrySource::Item*> peek() {
    if (!has_item_ && source_ != nullptr && !at_end_) {
      auto item = source_->next();
      if (!item) return item.error();
      at_end_ = !item->has_value();
      if (!at_end_) {
        if (auto valid = accept(**item); !valid) return valid.error();
      }
    }
    return has_item_ ? &item_ : nullptr;
  }
  void take() noexcept { has_item_ = false; }

 private:
  Result<void> accept(const EntrySource::Item& item) {
    if (item.index >= n_blocks_) {
      return Error{ErrorCode::invalid_argument, 0, 0,
                   "entry " + std::to_string(item.index) + " to restore is not below the number of blocks, " +
                       std::to_string(n_blocks_)};
    }
    if (has_previous_ && item.index <= item_.index) {
      return Error{ErrorCode::invalid_argument, 0, 0,
                   "entry " + std::to_string(item.index) + " to restore comes after entry " +
                       std::to_string(item_.index) + " (they must ascend)"};
    }
    item_ = item;
    has_item_ = has_previous_ = true;
    return {};
  }

  EntrySource* source_;
  std::uint64_t n_blocks_;
  EntrySource::Item item_{};
  bool has_item_ = false;
  bool has_previous_ = false;
  bool at_end_ = false;
};

/// Writes superblock area, entries and the gap in front of the data sequentially, several writes in
/// flight. The superblock area gets no magic.
class MetadataWriter {
 public:
  MetadataWriter(IoPort& port, const Geometry& geometry, EntryFeed& feed)
      : port_(port), geometry_(geometry), feed_(feed) {
    const std::uint64_t largest = std::max<std::uint64_t>(
        round_down(port.info(DeviceId::cache).max_io_bytes, kIoAlignmentBytes), kMaxBlockBytes);
    chunk_bytes_ = std::min({kChunkBytes, largest, geometry.data_offset_bytes});
  }

  Result<void> run(Observer& observer) {
    const std::uint64_t end = geometry_.data_offset_bytes;
    Result<void> outcome;
    for (std::uint64_t offset = 0; offset < end && outcome; offset += chunk_bytes_) {
      Slot& slot = slots_[(offset / chunk_bytes_) % kSlots];
      outcome = settle(slot);
      if (outcome && observer.is_cancelled()) {
        WC_REACHED("format: cancelled");
        outcome = Error{ErrorCode::cancelled, 0, 0, "stopped; the device holds an interrupted format"};
      }
      if (!outcome) break;
      observer.on_progress({"format", offset, end});
      outcome = fill(slot, offset, std::min(chunk_bytes_, end - offset));
      if (outcome) submit(slot, offset);
    }
    for (Slot& slot : slots_) {
      auto last = settle(slot);
      if (outcome) outcome = std::move(last);
    }
    if (outcome) observer.on_progress({"format", end, end});
    return outcome;
  }

 private:
  static constexpr std::uint64_t kChunkBytes = 1U << 20;
  static constexpr std::size_t kSlots = 4;
  struct Slot {
    IoOp op;
    store::AlignedBuffer memory;
    std::size_t length = 0;
    bool is_all_free = false;  ///< every byte is 0xff: most chunks, which then need no filling
    bool in_flight = false;
    Result<void> outcome;
  };

  Result<void> settle(Slot& slot) {
    while (slot.in_flight) port_.poll(Wait::for_one);
    return std::exchange(slot.outcome, Result<void>{});
  }

  Result<void> fill(Slot& slot, std::uint64_t offset, std::uint64_t length) {
    if (slot.memory.size() == 0) slot.memory = store::AlignedBuffer(chunk_bytes_);
    slot.length = length;
    if (!slot.is_all_free) std::memset(slot.memory.data(), 0xff, slot.memory.size());
    slot.is_all_free = true;
    if (offset == 0) {
      slot.is_all_free = false;
      Superblock half_made;
      half_made.magic = 0;
      half_made.block_size = geometry_.block_bytes;
      half_made.n_blocks = geometry_.n_blocks;
      media::encode_superblock(half_made,
                               std::span<std::byte, kSuperblockBytes>(slot.memory.data(), kSuperblockBytes));
    }
    const std::uint64_t stop = offset + length;
    while (true) {
      auto item = feed_.peek();
      if (!item) return item.error();
      if (*item == nullptr) break;
      const std::uint64_t at = Geometry::entry_offset_bytes((*item)->index);
      if (at >= stop) break;
      media::store_entry(slot.memory.data() + (at - offset), (*item)->entry);
      slot.is_all_free = false;
      feed_.take();
    }
    if (geometry_.metadata_bytes() < stop) {
      const std::uint64_t gap = std::max(geometry_.metadata_bytes(), offset);
      std::memset(slot.memory.data() + (gap - offset), 0, stop - gap);
      slot.is_all_free = false;
    }
    return {};
  }

  void submit(Slot& slot, std::uint64_t offset) {
    slot.op.kind = IoKind::write;
    slot.op.device = DeviceId::cache;
    slot.op.offset_bytes = offset;
    slot.op.memory = slot.memory.span(0, slot.length);
    slot.op.owner = &slot;
    slot.op.on_done = [](IoOp& op, Result<void> outcome) {
      auto& self = *static_cast<Slot*>(op.owner);
      self.in_flight = false;
      self.outcome = std::move(outcome);
    };
    slot.in_flight = true;
    port_.submit(slot.op);
  }

  IoPort& port_;
  const Geometry& geometry_;
  EntryFeed& feed_;
  std::uint64_t chunk_bytes_ = 0;
  std::array<Slot, kSlots> slots_;
};

Result<Existing> look_at(IoPort& port, Observer& observer) {
  CheckOptions options;
  options.page_bytes = kMaxBlockBytes;
  auto checked = check(port, options, observer);
  if (!checked) return checked.error();
  Existing existing;
  const auto found = [&](FindingCode code) {
    return std::any_of(checked->findings.begin(), checked->findings.end(),
                       [code](const Finding& finding) { return finding.code == code; });
  };
  if (!checked->superblock || found(FindingCode::blank) || found(FindingCode::interrupted_format)) return existing;
  const bool has_magic = checked->superblock->magic == kMagic;
  if (has_magic && checked->superblock->version == kVersion && checked->geometry) {
    existing.is_cache = true;
    existing.live = checked->counts.live;
    existing.is_dirty = existing.live > 0;
    if (checked->counts.free != checked->geometry->n_blocks) existing.tables.push_back(*checked->geometry);
    return existing;
  }
  // No sound superblock: what stands behind it decides. With the magic the doubt counts against the format.
  for (const RebuildCandidate& candidate : checked->candidates) {
    existing.is_dirty = existing.is_dirty || candidate.committed != 0;
    const auto table = make_geometry(port.info(DeviceId::cache).size_bytes, candidate.block_bytes, candidate.n_blocks);
    if (table && candidate.committed != 0) existing.tables.push_back(*table);
  }
  existing.is_dirty = existing.is_dirty || (has_magic && checked->candidates.empty());
  existing.is_cache = has_magic || existing.is_dirty;
  return existing;
}

Result<void> refuse(const Existing& existing, Overwrite overwrite) {
  if (existing.is_dirty && overwrite != Overwrite::dirty_cache) {
    WC_REACHED("format: a dirty cache is in the way");
    if (existing.live == 0) {
      return Error{ErrorCode::dirty, 0, 0,
                   "holds a damaged writecache whose entries may name dirty blocks (see wc-check)"};
    }
    return Error{ErrorCode::dirty, 0, 0,
                 "holds a writecache with " + std::to_string(existing.live) +
                     " dirty blocks that would be lost (write them back with wc-flush)"};
  }
  if (existing.is_cache && overwrite == Overwrite::nothing) {
    return Error{ErrorCode::busy, 0, 0, "holds a writecache already, without dirty blocks"};
  }
  return {};
}

/// From here on nobody takes the device for a cache. Only the first 64 bytes change, all of them in one
/// sector: the entries behind stay as they are as long as an old superblock could still be read.
/// `table`: what stands there where the superblock does not say; with S = 0 a rebuild then knows of the interruption.
Result<void> invalidate(IoPort& port, const Geometry* table = nullptr) {
  auto old = store::read_superblock(port);
  if (!old) return old.error();
  Superblock superblock = old->value_or(Superblock{});
  superblock.magic = 0;
  superblock.version = kVersion;
  superblock.seq_count = 0;
  if (table != nullptr) {
    superblock.block_size = table->block_bytes;
    superblock.n_blocks = table->n_blocks;
  }
  return store::write_superblock(port, superblock);
}

/// Frees the entries of a table from `first` on. How many were not free. Errors: io, cancelled.
Result<std::uint64_t> free_all(IoPort& port, BlockIndex first, const Geometry& table, Observer& observer) {
  std::uint64_t freed = 0;
  if (first >= table.n_blocks) return freed;
  store::EntryStream stream(port, first, table.n_blocks);
  store::EntryWriter writer(port);
  std::vector<BlockIndex> indexes;
  for (;;) {
    if (observer.is_cancelled()) {
      return Error{ErrorCode::cancelled, 0, 0, "stopped; the device holds a cache that is partly wiped"};
    }
    auto batch = stream.next();
    if (!batch) return batch.error();
    if (!*batch) return freed;
    indexes.clear();
    for (std::size_t i = 0; i < (*batch)->count; ++i) {
      if ((**batch)[i].seq_count != kFreeSequence) indexes.push_back((*batch)->first_index + i);
    }
    if (auto done = writer.set_sequence(indexes, kFreeSequence); !done) return done.error();
    freed += indexes.size();
    observer.on_progress({"free entries", ((*batch)->first_index + (*batch)->count) * kEntryBytes,
                          table.n_blocks * kEntryBytes});
  }
}

Superblock zeroed_superblock() {
  Superblock zero;
  zero.magic = 0;
  zero.version = 0;
  return zero;
}

/// Where a check would find entries with data if the superblock were zeros. Errors: io, cancelled.
Result<std::vector<Geometry>> tables_behind_zeros(IoPort& port, Observer& observer) {
  const std::optional<Superblock> zeroed = zeroed_superblock();
  const std::uint64_t area_bytes = port.info(DeviceId::cache).size_bytes;
  auto evidence = ops::gather_evidence(port, zeroed, observer);
  if (!evidence) return evidence.error();
  CheckOptions options;
  options.page_bytes = kMaxBlockBytes;
  std::vector<Geometry> tables;
  for (const RebuildCandidate& candidate : ops::find_candidates(*evidence, zeroed, area_bytes, options)) {
    const auto table = make_geometry(area_bytes, candidate.block_bytes, candidate.n_blocks);
    if (table && candidate.committed != 0) tables.push_back(*table);
  }
  return tables;
}

/// Zeroes the entries of the first 4 KiB; the superblock in front of them stays as it is.
Result<void> zero_first_entries(IoPort& port) {
  const DeviceInfo info = port.info(DeviceId::cache);
  store::AlignedBuffer memory(kWipeBytes);
  IoOp op;
  op.kind = IoKind::read;
  op.device = DeviceId::cache;
  op.memory = memory.span(0, std::min(kWipeBytes, round_down(info.size_bytes, info.logical_block_bytes)));
  if (auto done = store::run(port, op); !done) return done;
  std::fill(op.memory.begin() + kSuperblockBytes, op.memory.end(), std::byte{0});
  op.kind = IoKind::write;
  return store::run(port, op);
}

/// As long as there are entries that are not free, a superblock that is invalid but names their table stands in front of
/// them: a check tells from it that this was interrupted, and makes no cache of what is left. Only then is it zeroed.
Result<void> wipe(IoPort& port, const Existing& existing, Observer& observer) {
  if (auto done = invalidate(port, existing.tables.empty() ? nullptr : &existing.tables.front()); !done) return done;
  for (const Geometry& table : existing.tables) {
    if (auto freed = free_all(port, 0, table, observer); !freed) return freed.error();
  }
  // Zeros between entries that are not yet free would look like the end of a smaller table.
  if (auto done = store::flush(port, DeviceId::cache); !done) return done;
  if (auto done = zero_first_entries(port); !done) return done;
  if (auto done = store::flush(port, DeviceId::cache); !done) return done;
  // Older caches may have left more.
  for (std::uint64_t freed = 1; freed != 0;) {
    freed = 0;
    const auto tables = tables_behind_zeros(port, observer);
    if (!tables) return tables.error();
    for (const Geometry& table : *tables) {
      const auto more = free_all(port, kWipedEntries, table, observer);
      if (!more) return more.error();
      freed += *more;
    }
    if (auto done = store::flush(port, DeviceId::cache); !done) return done;
  }
  return store::write_superblock(port, zeroed_superblock());
}

Result<void> validate(const DeviceInfo& info, const FormatOptions& options) {
  if (!info.present) return Error{ErrorCode::invalid_argument, 0, 0, "no cache device"};
  if (!options.dry_run && !info.writable) {
    return Error{ErrorCode::permission, 0, 0, "the cache device is open for reading only"};
  }
  if (options.seq_count != 0 && options.entries == nullptr) {
    return Error{ErrorCode::invalid_argument, 0, 0, "a sequence needs entries to restore"};
  }
  if (options.wipe && options.entries != nullptr) {
    return Error{ErrorCode::invalid_argument, 0, 0, "wiping and restoring exclude each other"};
  }
  if (!options.wipe && is_valid_block_size(options.block_bytes) &&
      options.block_bytes < info.logical_block_bytes) {
    return Error{ErrorCode::invalid_argument, 0, 0,
                 "block size " + std::to_string(options.block_bytes) +
                     " is smaller than the device's logical block, " +
                     std::to_string(info.logical_block_bytes)};
  }
  if (options.wipe && info.size_bytes < std::max(kSectorBytes, info.logical_block_bytes)) {
    return Error{ErrorCode::no_space, 0, 0, "too small to hold a superblock"};
  }
  return {};
}

Result<void> check_all(EntryFeed& feed) {
  while (true) {
    auto item = feed.peek();
    if (!item) return item.error();
    if (*item == nullptr) return {};
    feed.take();
  }
}

Result<void> make(IoPort& port, const Geometry& geometry, EntryFeed& feed, Sequence seq_count,
                  Observer& observer) {
  if (auto done = invalidate(port); !done) return done;
  if (auto done = MetadataWriter(port, geometry, feed).run(observer); !done) return done;
  if (auto done = store::flush(port, DeviceId::cache); !done) return done;
  Superblock superblock;
  superblock.block_size = geometry.block_bytes;
  superblock.n_blocks = geometry.n_blocks;
  superblock.seq_count = seq_count;
  return store::write_superblock(port, superblock);
}

}  // namespace

Result<FormatReport> format(IoPort& port, const FormatOptions& options, Observer& observer) {
  const DeviceInfo info = port.info(DeviceId::cache);
  if (auto valid = validate(info, options); !valid) return valid.error();
  FormatReport report;
  report.device_bytes = info.size_bytes;
  report.seq_count = options.seq_count;
  if (!options.wipe) {
    std::uint64_t n_blocks = options.n_blocks.value_or(0);
    if (!options.n_blocks) {
      auto capacity = capacity_blocks(info.size_bytes, options.block_bytes);
      if (!capacity) return capacity.error();
      n_blocks = *capacity;
    }
    auto geometry = make_geometry(info.size_bytes, options.block_bytes, n_blocks);
    if (!geometry) return geometry.error();
    report.geometry = *geometry;
  }

  auto existing = look_at(port, observer);
  if (!existing) return existing.error();
  if (auto allowed = refuse(*existing, options.overwrite); !allowed) return allowed.error();
  report.destroyed_live = existing->live;

  EntryFeed feed(options.entries, report.geometry.n_blocks);
  Result<void> done;
  if (options.dry_run) {
    done = check_all(feed);
  } else if (options.wipe) {
    done = wipe(port, *existing, observer);
  } else {
    done = make(port, report.geometry, feed, options.seq_count, observer);
  }
  if (!done) return done.error();
  return report;
}

}  // namespace wc
