// SPDX-License-Identifier: LGPL-2.1-or-later
// Engine::open: options, the superblock, and what activation does with the entries.
#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/impl.hpp"
#include "store/pmem_store.hpp"
#include "store/pmem_view_port.hpp"
#include "store/recovery.hpp"
#include "store/ssd_store.hpp"
#include "writecache/format.hpp"

namespace wc {
namespace {

constexpr std::uint64_t kNsPerMs = 1'000'000;
constexpr std::uint32_t kAutocommitMsMax = 3'600'000;
constexpr std::uint32_t kMaxAgeMsMax = 86'400'000;
constexpr std::uint32_t kPauseMsMax = 60'000;
constexpr std::uint32_t kAutocommitBlocksPmem = 64;
constexpr std::uint32_t kAutocommitBlocksSsd = 65536;
constexpr std::uint32_t kPauseMs = 3000;

Error invalid(const char* words) { return {ErrorCode::invalid_argument, 0, 0, words}; }

/// The driver's limits, in its words.
Result<void> validate(const EngineOptions& options) {
  const bool is_pmem = options.type == CacheType::pmem;
  if (!is_valid_block_size(options.block_bytes)) return invalid("Invalid block size");
  const bool is_out_of_range = options.high_watermark_percent > 100 || options.low_watermark_percent > 100 ||
                               options.autocommit_ms > kAutocommitMsMax ||
                               options.max_age_ms.value_or(0) > kMaxAgeMsMax ||
                               options.pause_writeback_ms.value_or(0) > kPauseMsMax;
  const bool is_of_other_type = is_pmem ? options.pause_writeback_ms.has_value() : options.fua.has_value();
  if (is_out_of_range || is_of_other_type) return invalid("Invalid optional argument");
  if (options.high_watermark_percent < options.low_watermark_percent) {
    return invalid("High watermark must be greater than or equal to low watermark");
  }
  return {};
}

Result<void> validate(const EnginePorts& ports, const EngineOptions& options) {
  const bool is_pmem = options.type == CacheType::pmem;
  if (ports.io == nullptr || ports.clock == nullptr || (ports.pmem != nullptr) != is_pmem) {
    return invalid("the ports do not fit the type");
  }
  const DeviceInfo origin = ports.io->info(DeviceId::origin);
  const DeviceInfo cache = ports.io->info(DeviceId::cache);
  if (!origin.present || (!is_pmem && !cache.present)) return invalid("the engine needs both the cache and its origin");
  if (!options.read_only && (!origin.writable || (!is_pmem && !cache.writable))) {
    return Error{ErrorCode::permission, 0, 0, "a device is open for reading only"};
  }
  if (options.block_bytes < origin.logical_block_bytes ||
      (!is_pmem && options.block_bytes < cache.logical_block_bytes)) {
    return invalid("Block size is smaller than device logical block size");
  }
  return {};
}

EngineOptions filled_in(EngineOptions options) {
  const bool is_pmem = options.type == CacheType::pmem;
  if (!options.autocommit_blocks) options.autocommit_blocks = is_pmem ? kAutocommitBlocksPmem : kAutocommitBlocksSsd;
  if (is_pmem && !options.fua) options.fua = true;
  if (!is_pmem && !options.pause_writeback_ms) options.pause_writeback_ms = kPauseMs;
  return options;
}

engine::Settings settings_of(const EngineOptions& options) {
  engine::Settings settings;
  settings.is_pmem = options.type == CacheType::pmem;
  settings.overwrites_committed = !settings.is_pmem && !options.no_overwrite;
  settings.uses_fua = options.fua.value_or(false);
  settings.autocommit_blocks = *options.autocommit_blocks;
  settings.autocommit_ns = options.autocommit_ms * kNsPerMs;
  settings.max_age_ns = options.max_age_ms.value_or(0) * kNsPerMs;
  settings.pause_ns = options.pause_writeback_ms.value_or(0) * kNsPerMs;
  settings.high_watermark_percent = options.high_watermark_percent;
  settings.low_watermark_percent = options.low_watermark_percent;
  settings.writeback_jobs = options.writeback_jobs;
  settings.is_cleaner = options.cleaner;
  settings.is_metadata_only = options.metadata_only;
  settings.is_read_only = options.read_only;
  return settings;
}

/// The sound cache of a port, formatted first if it is blank and that was asked for.
Result<store::OpenedCache> open_or_format(IoPort& port, const EngineOptions& options) {
  auto opened = store::open_sound_cache(port, options.block_bytes);
  if (!opened) return opened.error();
  if (!*opened) {
    if (!options.format_blank || options.read_only) {
      return Error{ErrorCode::not_a_cache, 0, 0, "the cache device is blank (see wc-format)"};
    }
    FormatOptions format_options;
    format_options.block_bytes = options.block_bytes;
    Observer observer;
    if (auto made = format(port, format_options, observer); !made) return made.error();
    opened = store::open_sound_cache(port, options.block_bytes);
    if (!opened) return opened.error();
  }
  const store::OpenedCache& cache = **opened;
  if (cache.geometry.n_blocks >= index::kSlotsMax) {
    return Error{ErrorCode::unsupported, 0, 0, "the cache has more than 2^32 - 2 blocks"};
  }
  return cache;
}

/// The blocks that are still uncommitted, by their number.
using PendingBlocks = std::unordered_map<index::Slot, PendingBlock>;

/// Of two blocks of one sector the later one counts; both in one commit would be identical entries. Errors: damaged.
Result<PendingBlocks> take_pending(PendingLog* log, const Geometry& geometry, const DeviceInfo& origin,
                                   Sequence seq_count) {
  PendingBlocks blocks;
  if (log == nullptr) return blocks;
  std::unordered_map<Sector, index::Slot> newest;
  for (const PendingBlock& block : log->left()) {
    if (block.sequence < seq_count) continue;  // that commit was finished
    const bool fits = block.block < geometry.n_blocks && block.sequence <= seq_count + 1 &&
                      block.sector % geometry.sectors_per_block() == 0 &&
                      block.sector < sectors_of_bytes(origin.size_bytes);
    if (!fits) return Error{ErrorCode::damaged, 0, 0, "the log of uncommitted blocks does not fit this cache"};
    const auto slot = static_cast<index::Slot>(block.block);
    if (block.is_removed) {
      blocks.erase(slot);
    } else {
      blocks[slot] = block;
      newest[block.sector] = slot;
    }
  }
  std::erase_if(blocks, [&](const auto& item) {
    if (newest.at(item.second.sector) == item.first) return false;
    log->add({item.first, item.second.sector, seq_count, true});
    return true;
  });
  return blocks;
}

/// Fills the index.
class Loader {
 public:
  Loader(engine::Blocks& blocks, store::CacheStore* store, const PendingBlocks& pending, std::uint64_t now_ns)
      : blocks_(blocks), store_(store), pending_(pending), now_ns_(now_ns) {}

  void load(const store::ClassifiedBatch& batch) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      // Its place in the index is a random one.
      blocks_.table().prefetch(batch.entry(std::min(i + kAhead, batch.size() - 1)).original_sector);
      const Entry entry = batch.entry(i);
      const auto slot = static_cast<index::Slot>(batch.first_index() + i);
      switch (batch.state(i, entry.seq_count)) {
        case EntryState::live:
          add_live(slot, entry);
          break;
        case EntryState::free:
          add_free(slot);
          break;
        case EntryState::stale:
        case EntryState::uncommitted:
        case EntryState::future:
          if (store_ != nullptr) store_->changed(slot);
          add_free(slot);
          break;
      }
    }
  }
  /// Errors: damaged.
  Result<void> finish() {
    const index::EntryTable& table = blocks_.table();
    std::stable_sort(live_.begin(), live_.end(),
                     [&](index::Slot a, index::Slot b) { return table.sequence(a) < table.sequence(b); });
    stop_sorting();
    if (has_conflict_) return Error{ErrorCode::damaged, 0, 0, "a block is committed that the log calls uncommitted"};
    add_pending();
    return {};
  }

 private:
  bool is_pending(index::Slot slot) const { return !pending_.empty() && pending_.contains(slot); }

  /// In the order of their blocks: nothing may depend on that of a hash table.
  void add_pending() {
    std::vector<PendingBlock> ordered;
    for (const auto& [slot, block] : pending_)
      ordered.push_back(block);
    std::sort(ordered.begin(), ordered.end(),
              [](const PendingBlock& a, const PendingBlock& b) { return a.block < b.block; });
    for (const PendingBlock& block : ordered)
      blocks_.add_pending(static_cast<index::Slot>(block.block), block.sector, now_ns_);
  }

  /// Of larger caches the age after a start is the order of their blocks, which are handed out in order.
  static constexpr std::size_t kSortMax = 1U << 20;
  /// Entries between the announcement of one and its turn.
  static constexpr std::size_t kAhead = 24;

  void add_free(index::Slot slot) {
    if (!is_pending(slot)) blocks_.add_free(slot);
  }
  void add_live(index::Slot slot, const Entry& entry) {
    has_conflict_ = has_conflict_ || is_pending(slot);
    blocks_.add_live(slot, entry);
    if (!is_sorting_) {
      blocks_.add_to_age(slot, now_ns_);
      return;
    }
    live_.push_back(slot);
    if (live_.size() == kSortMax) stop_sorting();
  }
  void stop_sorting() {
    is_sorting_ = false;
    for (const index::Slot slot : live_)
      blocks_.add_to_age(slot, now_ns_);
    live_.clear();
    live_.shrink_to_fit();
  }

  engine::Blocks& blocks_;
  store::CacheStore* store_;
  const PendingBlocks& pending_;
  std::uint64_t now_ns_;
  bool has_conflict_ = false;
  std::vector<index::Slot> live_;
  bool is_sorting_ = true;
};

/// Frees what activation frees, and makes everything that was found on the medium durable: a process that was killed
/// may have left more in caches than on the medium.
Result<void> settle(const EnginePorts& ports, const Geometry& geometry, Sequence seq_count, store::CacheStore& store) {
  if (ports.pmem != nullptr) ports.pmem->flush(0, geometry.metadata_bytes());
  store.start_sync(seq_count);
  for (;;) {
    if (auto outcome = store.take_outcome()) return *outcome;
    ports.io->poll(Wait::for_one);
  }
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(const EnginePorts& ports, const EngineOptions& options) {
  if (auto valid = validate(options); !valid) return valid.error();
  if (auto valid = validate(ports, options); !valid) return valid.error();
  const EngineOptions complete = filled_in(options);
  std::optional<store::PmemViewPort> view;
  if (ports.pmem != nullptr) view.emplace(*ports.pmem, *ports.io);
  IoPort& port = view ? static_cast<IoPort&>(*view) : *ports.io;
  auto cache = open_or_format(port, complete);
  if (!cache) return cache.error();

  const Sequence seq_count = cache->superblock.seq_count;
  auto impl = std::make_unique<Impl>(ports, complete, settings_of(complete), cache->geometry, seq_count);
  engine::Blocks& blocks = impl->core.blocks;
  if (!complete.read_only) {
    if (ports.pmem != nullptr) {
      impl->store = std::make_unique<store::PmemStore>(*ports.pmem, blocks.table());
    } else {
      impl->store = std::make_unique<store::SsdStore>(*ports.io, blocks.table(), cache->geometry, cache->superblock);
    }
    blocks.set_store(impl->store.get());
    impl->cycle.set_store(*impl->store);
  }
  const auto pending = take_pending(ports.pending, cache->geometry, ports.io->info(DeviceId::origin), seq_count);
  if (!pending) return pending.error();
  blocks.set_pending(ports.pending);
  // Whoever served before us may have written to the origin and not flushed it.
  impl->core.has_written_around = true;
  Loader loader(blocks, impl->store.get(), *pending, ports.clock->now_ns());
  const auto recovered = store::recover(port, *cache, [&](const store::ClassifiedBatch& batch) {
    loader.load(batch);
    return Result<void>();
  });
  if (!recovered) return recovered.error();
  if (auto finished = loader.finish(); !finished) return finished.error();
  if (ports.pending != nullptr) ports.pending->taken_over(seq_count);
  if (impl->store) {
    if (auto settled = settle(ports, cache->geometry, seq_count, *impl->store); !settled) return settled.error();
  }
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

}  // namespace wc
