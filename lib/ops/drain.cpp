// SPDX-License-Identifier: LGPL-2.1-or-later
// Draining: survey, superseded entries freed, then batches of copy, flush, free.
#include "writecache/drain.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "ops/drain_copy.hpp"
#include "ops/drain_failures.hpp"
#include "reached.hpp"
#include "store/block_io.hpp"
#include "store/entry_writer.hpp"
#include "store/ordered_entries.hpp"
#include "store/scan.hpp"
#include "store/superblock_io.hpp"
#include "writecache/check.hpp"

namespace wc {
namespace {

constexpr std::uint64_t kMemoryMin = std::uint64_t{64} << 20;
constexpr std::uint64_t kRunBytes = std::uint64_t{1} << 20;
constexpr unsigned kQueueDepthMax = 1024;
constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
/// A batch ends with whichever is reached first; what is not freed yet is copied again after a crash.
constexpr std::uint64_t kBatchEntries = std::uint64_t{1} << 20;
constexpr std::uint64_t kBatchBytes = std::uint64_t{4} << 30;
constexpr std::uint64_t kBatchNs = 30 * kNsPerSecond;
constexpr std::uint64_t kSleepNs = 50'000'000;  ///< longest sleep before a look at the devices
constexpr std::uint64_t kProgressBlocks = 16;   ///< blocks between two reports

/// How the bound of memory is divided.
struct Budget {
  std::uint64_t scan_bytes;
  std::uint64_t order_bytes;
  std::uint64_t batch_entries;
  std::uint64_t buffer_bytes;

  explicit Budget(std::uint64_t memory_bytes) {
    const std::uint64_t memory = std::max(memory_bytes, kMemoryMin);
    // A block of a batch stands in several lists of 8 or 16 bytes.
    constexpr std::uint64_t kBytesPerBlock = 64;
    scan_bytes = memory / 8;
    order_bytes = memory / 8;
    batch_entries = std::min(kBatchEntries, memory / 8 / kBytesPerBlock);
    buffer_bytes = memory / 2;
  }
};

std::string text_of(const Error& error) {
  return error.os_errno != 0 ? std::generic_category().message(error.os_errno) : error.context;
}

/// The same error with what it means for the drain.
Error explained(const Error& error, const char* what) {
  Error result = error;
  result.context = std::string(what) + (error.context.empty() ? "" : ": " + error.context);
  return result;
}

/// What there is to do, counted before anything is written.
struct Survey {
  std::uint64_t blocks = 0;        ///< live in the range
  std::uint64_t beyond = 0;        ///< of those, at or behind the origin's end
  std::uint64_t bytes = 0;         ///< that will be written
  std::uint64_t uncommitted_elsewhere = 0;  ///< outside the range, where uncommitted ones are live
};

class Drain final : public ops::CopyResults {
 public:
  Drain(IoPort& port, Clock& clock, const DrainOptions& options, Observer& observer)
      : port_(port),
        clock_(clock),
        options_(options),
        observer_(observer),
        budget_(options.memory_bytes),
        writer_(port),
        origin_sectors_(sectors_of_bytes(port.info(DeviceId::origin).size_bytes)) {}

  Result<DrainReport> run();

  void on_copied(std::span<const ops::CopyBlock> blocks, std::uint64_t bytes) override;
  void on_failed(const ops::CopyBlock& block, const char* what, const Error* error) override;

 private:
  bool flushes_uncommitted() const noexcept {
    return options_.uncommitted == UncommittedPolicy::flush;
  }
  bool is_in_range(Sector sector) const noexcept;
  Result<void> validate() const;
  Result<void> work();
  Result<void> refuse_damage(bool has_superblock);
  Result<void> scan(bool uncommitted_is_live);
  Result<void> survey();
  Result<void> free_superseded(const store::Scan& plain);
  Result<void> settle_uncommitted();
  Result<void> copy_all();
  Result<void> take(const ListedEntry& entry);
  void list_beyond(const ListedEntry& entry);
  bool is_batch_full(Sector next_sector);
  Result<void> finish_batch();
  Result<void> verify();
  Result<void> free_written();
  Result<void> free_older();
  Result<void> free_indexes(std::vector<BlockIndex>& indexes);
  void pace(std::uint64_t bytes);
  void show_progress();
  ops::CopyLimits limits() const;

  IoPort& port_;
  Clock& clock_;
  const DrainOptions& options_;
  Observer& observer_;
  Budget budget_;
  store::EntryWriter writer_;
  Sector origin_sectors_;
  store::OpenedCache cache_;
  std::optional<store::Scan> scan_;  ///< says what is live
  Survey survey_;
  DrainReport report_;
  ops::FailureList failures_;

  bool frees_older_late_ = false;  ///< see settle_uncommitted()
  bool is_verifying_ = false;
  std::vector<ops::CopyBlock> written_;   ///< of this batch; while verifying: those that are equal
  std::vector<ops::CopyBlock> to_verify_;
  std::vector<ops::CopyBlock> older_;     ///< committed entries that an uncommitted one supersedes
  std::vector<BlockIndex> doubles_;       ///< uncommitted entries of a sector besides the live one
  std::vector<BlockIndex> indexes_;
  std::uint64_t batch_blocks_ = 0;
  std::uint64_t batch_bytes_ = 0;
  std::uint64_t batch_began_ns_ = 0;
  Sector last_sector_ = 0;
  Sector stopped_at_ = 0;          ///< no block below it was left out
  std::uint64_t due_ns_ = 0;       ///< when the rate allows the next write
  std::uint64_t taken_ = 0;
  std::uint64_t done_bytes_ = 0;
  std::optional<ops::CopyPipeline> pipeline_;  ///< last: its end may still report results
};

bool Drain::is_in_range(Sector sector) const noexcept {
  if (!options_.range) return true;
  const SectorRange& range = *options_.range;
  if (sector < range.first) return range.first - sector < cache_.geometry.sectors_per_block();
  return sector - range.first < range.count;
}

Result<void> Drain::validate() const {
  if (!port_.info(DeviceId::cache).present || !port_.info(DeviceId::origin).present) {
    return Error{ErrorCode::invalid_argument, 0, 0, "a drain needs both the cache and its origin"};
  }
  if (options_.queue_depth == 0 || options_.queue_depth > kQueueDepthMax) {
    return Error{ErrorCode::invalid_argument, 0, 0, "the queue depth is not from 1 to 1024"};
  }
  if (options_.range && options_.range->count == 0) {
    return Error{ErrorCode::invalid_argument, 0, 0, "the range is empty"};
  }
  if (!options_.dry_run && !port_.info(DeviceId::origin).writable) {
    return Error{ErrorCode::permission, 0, 0, "the origin is open for reading only"};
  }
  if (!options_.dry_run && !options_.keep && !port_.info(DeviceId::cache).writable) {
    return Error{ErrorCode::permission, 0, 0, "the cache is open for reading only"};
  }
  return {};
}

Result<DrainReport> Drain::run() {
  const std::uint64_t began_ns = clock_.now_ns();
  if (auto valid = validate(); !valid) return valid.error();
  auto done = work();
  pipeline_.reset();
  if (!done) {
    if (done.error().code != ErrorCode::cancelled) return done.error();
    report_.cancelled = true;
  }
  report_.failed_ranges = failures_.take();
  if (!options_.dry_run) report_.settled_until = std::min(stopped_at_, failures_.listed_until());
  report_.nanoseconds = clock_.now_ns() - began_ns;
  return report_;
}

Result<void> Drain::work() {
  auto opened = store::open_cache(port_);
  const bool has_superblock = opened || opened.error().code != ErrorCode::not_a_cache;
  if (!options_.skip_check) {
    if (auto sound = refuse_damage(has_superblock); !sound) return sound;
  }
  if (!opened) return opened.error();
  cache_ = *opened;
  if (auto done = scan(flushes_uncommitted()); !done) return done;
  if (auto done = survey(); !done) return done;
  if (survey_.beyond != 0 && options_.beyond_end == BeyondEndPolicy::fail) {
    return Error{ErrorCode::damaged, 0, 0,
                 std::to_string(survey_.beyond) +
                     " blocks lie at or behind the origin's end; nothing was written (is it the "
                     "right origin? --beyond-end=skip leaves them in the cache)"};
  }
  if (!options_.dry_run && !options_.keep) {
    if (flushes_uncommitted()) {
      if (auto done = settle_uncommitted(); !done) return done;
    } else {
      if (auto done = free_superseded(*scan_); !done) return done;
    }
  }
  if (options_.dry_run && survey_.beyond == 0) return {};
  auto copied = copy_all();
  if (options_.dry_run || options_.keep || report_.entries_freed != 0) return copied;
  if (!copied && copied.error().code != ErrorCode::cancelled) return copied;
  // An earlier run may have been killed between freeing entries and making that durable.
  if (auto flushed = store::flush(port_, DeviceId::cache); !flushed) return flushed;
  return copied;
}

Result<void> Drain::refuse_damage(bool has_superblock) {
  CheckOptions options;
  options.memory_bytes = budget_.buffer_bytes;
  options.page_bytes = kMaxBlockBytes;  // the driver's limit on this machine is not ours
  auto checked = check(port_, options, observer_);
  if (!checked) return checked.error();
  if (!checked->superblock) return {};  // no place for a cache, and so none that is damaged
  std::string codes;
  for (const Finding& finding : checked->findings) {
    if (finding.severity != Severity::error) continue;
    if (finding.code == FindingCode::beyond_origin && options_.beyond_end == BeyondEndPolicy::skip) continue;
    codes += (codes.empty() ? "" : ", ") + std::string(to_string(finding.code));
  }
  if (codes.empty()) return {};
  return Error{ErrorCode::damaged, 0, 0,
               "the cache is damaged: " + codes + "; nothing was written (see wc-check" +
                   (has_superblock ? ", or --skip-check)" : ")")};
}

Result<void> Drain::scan(bool uncommitted_is_live) {
  scan_.reset();
  store::ScanOptions options;
  options.memory_bytes = budget_.scan_bytes;
  options.origin_sectors = origin_sectors_;
  options.uncommitted_is_live = uncommitted_is_live;
  auto result =
      store::Scan::run(port_, cache_.geometry, cache_.superblock.seq_count, options, observer_);
  if (!result) return result.error();
  scan_.emplace(std::move(*result));
  return {};
}

Result<void> Drain::survey() {
  const Sequence uncommitted = cache_.superblock.seq_count;
  auto done = scan_->visit(
      [&](const store::ClassifiedBatch& batch) -> Result<void> {
        for (std::size_t i = 0; i < batch.size(); ++i) {
          const Entry entry = batch.entry(i);
          const EntryState state = batch.state(i, entry.seq_count);
          if (state != EntryState::live && state != EntryState::stale) continue;
          if (!is_in_range(entry.original_sector)) {
            survey_.uncommitted_elsewhere += entry.seq_count == uncommitted ? 1 : 0;
            continue;
          }
          if (state == EntryState::stale) continue;
          ++survey_.blocks;
          if (entry.original_sector >= origin_sectors_) {
            ++survey_.beyond;
          } else {
            survey_.bytes += std::min<std::uint64_t>(
                cache_.geometry.block_bytes, bytes_of_sectors(origin_sectors_ - entry.original_sector));
          }
        }
        return {};
      },
      observer_);
  report_.blocks_total = survey_.blocks;
  return done;
}

/// Frees stale entries, and uncommitted ones where they are dropped: durable before any live one is
/// freed, or an old block would come back.
Result<void> Drain::free_superseded(const store::Scan& plain) {
  const bool drops = !flushes_uncommitted();
  const EntryCounts& counts = plain.counts();
  if (counts.stale == 0 && (!drops || counts.uncommitted == 0)) return {};
  bool has_freed = false;
  const auto free_found = [&]() -> Result<void> {
    has_freed = has_freed || !indexes_.empty();
    return free_indexes(indexes_);
  };
  indexes_.clear();
  auto done = plain.visit(
      [&](const store::ClassifiedBatch& batch) -> Result<void> {
        for (std::size_t i = 0; i < batch.size(); ++i) {
          const Entry entry = batch.entry(i);
          const EntryState state = batch.state(i, entry.seq_count);
          if (state != EntryState::stale && !(drops && state == EntryState::uncommitted)) continue;
          if (!is_in_range(entry.original_sector)) continue;
          indexes_.push_back(batch.first_index() + i);
          if (indexes_.size() < budget_.batch_entries) continue;
          if (auto freed = free_found(); !freed) return freed;
        }
        return {};
      },
      observer_);
  if (!done) return done;
  if (auto freed = free_found(); !freed) return freed;
  return has_freed ? store::flush(port_, DeviceId::cache) : Result<void>{};
}

/// Uncommitted entries that are to be drained. Where nobody else is concerned they are committed, as
/// the driver would have done: from then on they are ordinary live entries at any crash. Else the
/// committed entry of their sector must stay until the newer data are durable on the origin.
Result<void> Drain::settle_uncommitted() {
  const std::uint64_t twins_with_uncommitted = scan_->identical_losers();
  const std::uint64_t future = scan_->counts().future;
  if (auto done = scan(false); !done) return done;
  if (auto done = free_superseded(*scan_); !done) return done;
  if (scan_->counts().uncommitted == 0) return {};
  const bool can_commit = survey_.uncommitted_elsewhere == 0 && future == 0 &&
                          twins_with_uncommitted == scan_->identical_losers() &&
                          cache_.superblock.seq_count < kFreeSequence - 1;
  if (!can_commit) {
    WC_REACHED("drain: uncommitted entries that cannot be committed");
    frees_older_late_ = true;
    return scan(true);
  }
  WC_REACHED("drain: uncommitted entries are committed");
  if (auto done = store::flush(port_, DeviceId::cache); !done) return done;
  ++cache_.superblock.seq_count;
  if (auto done = store::write_superblock(port_, cache_.superblock); !done) return done;
  if (auto done = scan(false); !done) return done;
  return free_superseded(*scan_);
}

ops::CopyLimits Drain::limits() const {
  const DeviceInfo origin = port_.info(DeviceId::origin);
  const DeviceInfo cache = port_.info(DeviceId::cache);
  const std::uint64_t shortest =
      std::max<std::uint64_t>({cache_.geometry.block_bytes, origin.logical_block_bytes,
                               cache.logical_block_bytes, kIoAlignmentBytes});
  ops::CopyLimits limits;
  limits.writes_in_flight = options_.queue_depth;
  limits.retries = options_.retries;
  // Three times as many runs are read meanwhile, for they lie anywhere in the cache; each may need the memory of its
  // run twice.
  limits.slots = std::max<std::uint64_t>(
      2, std::min<std::uint64_t>(4 * std::uint64_t{options_.queue_depth},
                                 budget_.buffer_bytes / (2 * shortest)));
  limits.run_bytes = kRunBytes;
  while (limits.run_bytes > shortest && limits.run_bytes * 2 * limits.slots > budget_.buffer_bytes) {
    limits.run_bytes /= 2;
  }
  if (options_.rate_bytes_per_second != 0) {
    while (limits.run_bytes > shortest && limits.run_bytes > options_.rate_bytes_per_second / 4) {
      limits.run_bytes /= 2;
    }
  }
  return limits;
}

Result<void> Drain::copy_all() {
  pipeline_.emplace(port_, cache_.geometry, ops::CopyMode::write, limits(), *this);
  auto states = EntryStateSet{}.with(EntryState::live);
  if (frees_older_late_) states = states.with(EntryState::stale);
  store::OrderedEntries ordered(*scan_, states, EntryOrder::sector, budget_.order_bytes);
  batch_began_ns_ = clock_.now_ns();
  Result<void> outcome;
  while (outcome) {
    auto round = ordered.next_round(observer_);
    if (!round) {
      outcome = round.error();
      stopped_at_ = last_sector_;
      break;
    }
    if (round->empty()) {
      stopped_at_ = kSectorLimit;
      break;
    }
    for (const ListedEntry& entry : *round) {
      outcome = take(entry);
      if (outcome) continue;
      stopped_at_ = entry.sector;
      break;
    }
  }
  if (!outcome && outcome.error().code != ErrorCode::cancelled) return outcome;
  if (auto done = finish_batch(); !done) return done;
  show_progress();
  return outcome;
}

Result<void> Drain::take(const ListedEntry& entry) {
  if (observer_.is_cancelled()) {
    WC_REACHED("drain: cancelled");
    return Error{ErrorCode::cancelled, 0, 0, "stopped"};
  }
  if (!is_in_range(entry.sector)) return {};
  if (is_batch_full(entry.sector)) {
    if (auto done = finish_batch(); !done) return done;
  }
  last_sector_ = entry.sector;
  ++batch_blocks_;
  if (entry.state == EntryState::stale) {
    if (entry.seq_count < cache_.superblock.seq_count) {
      older_.push_back({entry.sector, entry.index});
      return {};
    }
    WC_REACHED("drain: several uncommitted entries of one sector");
    doubles_.push_back(entry.index);
    if (doubles_.size() < budget_.batch_entries) return {};
    std::sort(doubles_.begin(), doubles_.end());
    return free_indexes(doubles_);
  }
  if (entry.sector >= origin_sectors_) {
    list_beyond(entry);
    return {};
  }
  if (options_.dry_run) return {};
  const ops::CopyBlock block{entry.sector, entry.index};
  const std::uint64_t bytes = pipeline_->origin_bytes_of(block);
  pace(bytes);
  pipeline_->add(block);
  batch_bytes_ += bytes;
  if (++taken_ % kProgressBlocks == 0) show_progress();
  return {};
}

void Drain::list_beyond(const ListedEntry& entry) {
  WC_REACHED("drain: a block beyond the origin's end is skipped");
  ++report_.blocks_failed;
  ++report_.blocks_beyond;
  failures_.add(entry.sector, cache_.geometry.sectors_per_block(), "beyond the end of the origin");
}

/// All entries of one sector belong to one batch.
bool Drain::is_batch_full(Sector next_sector) {
  if (batch_blocks_ == 0 || next_sector == last_sector_) return false;
  return batch_blocks_ >= budget_.batch_entries || batch_bytes_ >= kBatchBytes ||
         clock_.now_ns() - batch_began_ns_ >= kBatchNs;
}

/// Everything of the batch: on the origin, durable there, compared if asked for, then freed.
Result<void> Drain::finish_batch() {
  pipeline_->finish();
  if (!written_.empty()) {
    if (auto flushed = store::flush(port_, DeviceId::origin); !flushed) {
      return explained(flushed.error(), "the origin could not be flushed; the entries of this batch stay");
    }
    if (options_.verify) {
      if (auto done = verify(); !done) return done;
    }
    report_.blocks_written += written_.size();
    for (const ops::CopyBlock& block : written_) {
      report_.bytes_written += pipeline_->origin_bytes_of(block);
    }
  }
  if (!options_.keep && !options_.dry_run) {
    if (auto done = free_older(); !done) return done;
    if (auto done = free_written(); !done) return done;
  }
  written_.clear();
  older_.clear();
  doubles_.clear();
  batch_blocks_ = batch_bytes_ = 0;
  batch_began_ns_ = clock_.now_ns();
  return {};
}

Result<void> Drain::verify() {
  std::sort(written_.begin(), written_.end(), [](const ops::CopyBlock& a, const ops::CopyBlock& b) {
    return a.sector != b.sector ? a.sector < b.sector : a.index < b.index;
  });
  to_verify_.clear();
  to_verify_.swap(written_);
  is_verifying_ = true;
  {
    ops::CopyPipeline compare(port_, cache_.geometry, ops::CopyMode::compare, limits(), *this);
    for (const ops::CopyBlock& block : to_verify_) compare.add(block);
    compare.finish();
  }
  is_verifying_ = false;
  return {};
}

/// Committed entries whose uncommitted successor is durable on the origin: durably free before the
/// successor is, which hides them until then.
Result<void> Drain::free_older() {
  indexes_.clear();
  if (!older_.empty()) {
    const auto by_sector = [](const ops::CopyBlock& a, const ops::CopyBlock& b) {
      return a.sector < b.sector;
    };
    std::sort(written_.begin(), written_.end(), by_sector);
    for (const ops::CopyBlock& block : older_) {
      if (std::binary_search(written_.begin(), written_.end(), block, by_sector)) {
        indexes_.push_back(block.index);
      }
    }
  }
  indexes_.insert(indexes_.end(), doubles_.begin(), doubles_.end());
  if (indexes_.empty()) return {};
  std::sort(indexes_.begin(), indexes_.end());
  if (auto done = free_indexes(indexes_); !done) return done;
  return store::flush(port_, DeviceId::cache);
}

Result<void> Drain::free_written() {
  if (written_.empty()) return {};
  indexes_.clear();
  for (const ops::CopyBlock& block : written_) indexes_.push_back(block.index);
  std::sort(indexes_.begin(), indexes_.end());
  if (auto done = free_indexes(indexes_); !done) return done;
  return store::flush(port_, DeviceId::cache);
}

/// Not durable before a flush. `indexes` ascend; empty afterwards.
Result<void> Drain::free_indexes(std::vector<BlockIndex>& indexes) {
  if (indexes.empty()) return {};
  auto done = writer_.set_sequence(indexes, kFreeSequence);
  for (unsigned attempt = 0; !done && attempt < options_.retries; ++attempt) {
    WC_REACHED("drain: entries are freed again after an error");
    done = writer_.set_sequence(indexes, kFreeSequence);
  }
  if (!done) {
    return explained(done.error(), "entries could not be freed; the data on the origin are safe");
  }
  report_.entries_freed += indexes.size();
  indexes.clear();
  return {};
}

void Drain::on_copied(std::span<const ops::CopyBlock> blocks, std::uint64_t bytes) {
  written_.insert(written_.end(), blocks.begin(), blocks.end());
  if (!is_verifying_) done_bytes_ += bytes;
}

void Drain::on_failed(const ops::CopyBlock& block, const char* what, const Error* error) {
  ++report_.blocks_failed;
  if (!is_verifying_) done_bytes_ += pipeline_->origin_bytes_of(block);
  failures_.add(block.sector, cache_.geometry.sectors_per_block(),
                std::string(what) + ": " +
                    (error != nullptr ? text_of(*error) : "the origin does not hold what was written"));
}

/// Waits until the rate allows another write. Time that was not used is not saved up.
void Drain::pace(std::uint64_t bytes) {
  const std::uint64_t rate = options_.rate_bytes_per_second;
  if (rate == 0) return;
  std::uint64_t now_ns = clock_.now_ns();
  while (now_ns < due_ns_ && !observer_.is_cancelled()) {
    clock_.sleep_ns(std::min(due_ns_ - now_ns, kSleepNs));
    pipeline_->turn(Wait::no);
    show_progress();
    now_ns = clock_.now_ns();
  }
  due_ns_ = std::max(due_ns_, now_ns) + bytes * kNsPerSecond / rate;
}

void Drain::show_progress() {
  observer_.on_progress({"drain", done_bytes_, std::max(done_bytes_, survey_.bytes)});
}

}  // namespace

Result<DrainReport> drain(IoPort& port, Clock& clock, const DrainOptions& options,
                          Observer& observer) {
  return Drain(port, clock, options, observer).run();
}

}  // namespace wc
