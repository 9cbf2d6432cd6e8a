// SPDX-License-Identifier: LGPL-2.1-or-later
// Writeback: picks blocks, joins neighbours, and moves them to the origin in bounded memory.
#include "engine/writeback_op.hpp"
#include "reached.hpp"

namespace wc::engine {
namespace {

/// Percent of the blocks that a watermark leaves unused, rounded as the driver does.
std::uint64_t threshold(std::uint64_t n_blocks, unsigned percent) noexcept {
  return (n_blocks * (100 - percent) + 50) / 100;
}

}  // namespace

Writeback::Writeback(Core& core, CommitCycle& cycle)
    : core_(core),
      cycle_(cycle),
      high_threshold_(threshold(core.geometry.n_blocks, core.settings.high_watermark_percent)),
      low_threshold_(threshold(core.geometry.n_blocks, core.settings.low_watermark_percent)),
      jobs_blocks_max_(core.settings.writeback_jobs == 0 ? ~std::uint64_t{0} : core.settings.writeback_jobs) {
  if (core.settings.is_cleaner) begin_cleaning();
}

void Writeback::begin_cleaning() noexcept { high_threshold_ = low_threshold_ = core_.geometry.n_blocks; }

bool Writeback::is_goal_reached() const noexcept {
  const Slot oldest = core_.blocks.age().oldest();
  const bool is_left = oldest != kNoSlot && core_.blocks.table().sequence(oldest) < *goal_;
  return !is_left && is_idle() && cycle_.is_idle() && !core_.blocks.has_marked();
}

void Writeback::clear_goal() noexcept {
  goal_.reset();
  slice_.clear();
  slice_at_ = 0;
}

bool Writeback::is_paused() const noexcept {
  const Settings& settings = core_.settings;
  return settings.pause_ns != 0 && !settings.is_cleaner && !is_in_hurry_ && core_.free_waiters.empty() &&
         core_.last_around_ns != 0 && core_.now_ns < core_.last_around_ns + settings.pause_ns;
}

bool Writeback::is_overdue() const noexcept {
  if (core_.settings.max_age_ns == 0) return false;
  const auto oldest = core_.blocks.age().oldest_time_ns();
  return oldest && core_.now_ns >= *oldest + core_.settings.max_age_ns;
}

bool Writeback::wants_background() noexcept {
  const std::uint64_t unused = core_.blocks.unused() + core_.blocks.in_writeback();
  if (unused <= high_threshold_) is_draining_ = true;
  if (unused > low_threshold_ || core_.blocks.age().empty()) is_draining_ = false;
  return (is_draining_ || is_overdue()) && !is_paused();
}

std::optional<std::uint64_t> Writeback::deadline_ns() const noexcept {
  if (core_.settings.is_read_only || core_.error || goal_) return std::nullopt;
  std::optional<std::uint64_t> deadline;
  const auto oldest = core_.blocks.age().oldest_time_ns();
  if (core_.settings.max_age_ns != 0 && oldest) deadline = *oldest + core_.settings.max_age_ns;
  if (is_paused() && (is_draining_ || is_overdue())) return core_.last_around_ns + core_.settings.pause_ns;
  // One that is overdue waits for I/O, not for time.
  if (deadline && *deadline <= core_.now_ns) return std::nullopt;
  return deadline;
}

/// Blocks that may still be put in flight.
std::uint64_t Writeback::room() const noexcept {
  const std::uint64_t used = core_.blocks.in_writeback();
  return used >= jobs_blocks_max_ ? 0 : jobs_blocks_max_ - used;
}

bool Writeback::may_start() const noexcept { return jobs_.taken() < kJobsMax && room() != 0; }

bool Writeback::advance() {
  if (core_.error) return false;
  bool any = false;
  while (may_start()) {
    const Slot slot = pick();
    if (slot == kNoSlot) break;
    start(slot);
    any = true;
  }
  const bool is_batch = active_jobs_ == 0 || written_count_ >= kFlushJobs;
  if (!written_.empty() && flushing_.empty() && is_batch) {
    flush_origin();
    any = true;
  }
  return any;
}

Slot Writeback::pick() {
  if (goal_) return pick_sorted();
  return wants_background() ? pick_oldest() : kNoSlot;
}

/// The least recently written block. If it must wait, what it waits for is asked for.
Slot Writeback::pick_oldest() {
  const Slot slot = core_.blocks.age().oldest();
  if (slot == kNoSlot || core_.blocks.can_write_back(slot)) return slot;
  if (core_.blocks.is_uncommitted(slot)) {
    cycle_.want_commit();
  } else if (core_.blocks.has_marked()) {
    cycle_.want_frees();
  }
  return kNoSlot;
}

Slot Writeback::pick_sorted() {
  do {
    while (slice_at_ < slice_.size()) {
      const Slot slot = slice_[slice_at_++];
      if (core_.blocks.can_write_back(slot)) return slot;
    }
  } while (collect());
  return kNoSlot;
}

/// Sorts the oldest blocks of the goal by sector. False if there is nothing that could be written back now.
bool Writeback::collect() {
  // What could not be picked a moment ago can be only after an I/O or a cycle has ended.
  const std::uint64_t moment = core_.transfers.finished() + cycle_.ended();
  if (collected_at_ == moment) return false;
  collected_at_ = moment;
  slice_.clear();
  slice_at_ = 0;
  const auto& table = core_.blocks.table();
  const auto& age = core_.blocks.age();
  bool is_uncommitted = false;
  for (Slot slot = age.oldest(); slot != kNoSlot && slice_.size() < kSliceMax; slot = age.younger(slot)) {
    if (table.sequence(slot) >= *goal_) break;
    is_uncommitted = is_uncommitted || core_.blocks.is_uncommitted(slot);
    if (core_.blocks.can_write_back(slot)) slice_.push_back(slot);
  }
  if (is_uncommitted) cycle_.want_commit();
  if (core_.blocks.has_marked()) cycle_.want_frees();
  std::sort(slice_.begin(), slice_.end(), [&](Slot a, Slot b) { return table.sector(a) < table.sector(b); });
  return !slice_.empty();
}

void Writeback::start(Slot slot) {
  Job& job = jobs_.take();
  if (job.memory.size() == 0) job.memory = store::AlignedBuffer(kJobBytes);
  const Sector sectors = core_.geometry.sectors_per_block();
  std::uint64_t limit = std::min(job.memory.size() / core_.block_bytes(), room());
  limit = std::min({limit, core_.max_io_blocks(DeviceId::cache), core_.max_io_blocks(DeviceId::origin)});
  job.slots.clear();
  job.first_block = core_.blocks.sector(slot) / sectors;
  do {
    job.slots.push_back(slot);
    core_.blocks.begin_writeback(slot);
    const Slot next = core_.find(job.first_block + job.slots.size());
    const bool joins =
        next != kNoSlot && core_.blocks.can_write_back(next) && (core_.settings.is_pmem || next == slot + 1);
    slot = joins ? next : kNoSlot;
  } while (slot != kNoSlot && job.slots.size() < limit);
  ++active_jobs_;
  if (core_.transfers.maps_cache()) {
    read_mapped(job);
  } else {
    read(job);
  }
}

void Writeback::read_mapped(Job& job) {
  std::span<std::byte> to = job.memory.span(0, job.slots.size() * core_.block_bytes());
  for (const Slot slot : job.slots) {
    const auto outcome = core_.transfers.load(core_.geometry.block_offset_bytes(slot), to.first(core_.block_bytes()));
    if (!outcome) return on_written(job, outcome);
    to = to.subspan(core_.block_bytes());
  }
  write(job);
}

void Writeback::read(Job& job) {
  Transfer& transfer = core_.transfers.take();
  transfer.io.kind = IoKind::read;
  transfer.io.device = DeviceId::cache;
  transfer.io.offset_bytes = core_.geometry.block_offset_bytes(job.slots.front());
  transfer.io.memory = job.memory.span(0, job.slots.size() * core_.block_bytes());
  transfer.owner = this;
  transfer.part = &job;
  transfer.on_done = [](Transfer& finished, Result<void> outcome) {
    auto& self = *static_cast<Writeback*>(finished.owner);
    auto& read_job = *static_cast<Job*>(finished.part);
    if (outcome && !self.core_.error) {
      self.write(read_job);
    } else {
      WC_REACHED("engine: a block cannot be read for writeback");
      self.on_written(read_job, outcome);
    }
  };
  core_.transfers.submit(transfer);
}

void Writeback::write(Job& job) {
  Transfer& transfer = core_.transfers.take();
  transfer.io.kind = IoKind::write;
  transfer.io.device = DeviceId::origin;
  transfer.io.fua = core_.settings.uses_fua;
  transfer.io.offset_bytes = core_.offset_of(job.first_block);
  transfer.io.memory =
      job.memory.span(0, std::min(job.slots.size() * core_.block_bytes(), core_.size_bytes - transfer.io.offset_bytes));
  transfer.owner = this;
  transfer.part = &job;
  transfer.on_done = [](Transfer& finished, Result<void> outcome) {
    static_cast<Writeback*>(finished.owner)->on_written(*static_cast<Job*>(finished.part), outcome);
  };
  core_.transfers.submit(transfer);
}

void Writeback::on_written(Job& job, const Result<void>& outcome) {
  --active_jobs_;
  if (!outcome) core_.fail(outcome.error());
  if (core_.error) {
    // Its blocks stay under writeback for good: nothing is freed any more.
    jobs_.release(job);
    return;
  }
  if (core_.settings.uses_fua) {
    durable_.push(job);
    cycle_.want_frees();
    return;
  }
  written_.push(job);
  ++written_count_;
}

void Writeback::flush_origin() {
  flushing_ = written_.take_all();
  written_count_ = 0;
  Transfer& transfer = core_.transfers.take();
  transfer.io.kind = IoKind::flush;
  transfer.io.device = DeviceId::origin;
  transfer.owner = this;
  transfer.on_done = [](Transfer& finished, Result<void> outcome) {
    static_cast<Writeback*>(finished.owner)->on_flushed(outcome);
  };
  core_.transfers.submit(transfer);
}

void Writeback::on_flushed(const Result<void>& outcome) {
  Queue<Job> jobs = flushing_.take_all();
  if (!outcome) {
    WC_REACHED("engine: the origin cannot be flushed after writeback");
    core_.fail(outcome.error());
  }
  while (Job* job = jobs.pop()) {
    if (core_.error) {
      jobs_.release(*job);
    } else {
      durable_.push(*job);
    }
  }
  cycle_.want_frees();
}

void Writeback::apply_frees(std::uint64_t) {
  while (Job* job = durable_.pop()) {
    for (const Slot slot : job->slots)
      core_.blocks.mark_free(slot);
    jobs_.release(*job);
  }
}

}  // namespace wc::engine
