// SPDX-License-Identifier: LGPL-2.1-or-later
// UringPort: submission in bulk, completion in bulk, short transfers continued inside.
#include "io/uring_port.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace wc {
namespace {

constexpr std::size_t kExpectedRequests = 1024;

// What is transferred between two looks at who asked: the data are then still in the processor's cache.
constexpr std::uint64_t kAtOnceBytesMax = 256U << 10;
// A longer transfer than this holds up everybody else for too long.
constexpr std::uint64_t kTransferAtOnceBytesMax = 1U << 20;

// After this many requests to try again the kernel's worker threads, which can wait, get the
// operation; after as many again it fails.
constexpr std::uint32_t kRetriesMax = 64;

bool is_passing(int os_errno) noexcept { return os_errno == EINTR || os_errno == EAGAIN || os_errno == EBUSY; }

}  // namespace

Result<std::unique_ptr<UringPort>> UringPort::create(PortDevices& devices) {
  io_uring ring{};
  // Completions are collected only by poll, so the kernel need not interrupt us for them.
  int outcome = ::io_uring_queue_init(kRingEntries, &ring, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
  if (outcome == -EINVAL) outcome = ::io_uring_queue_init(kRingEntries, &ring, 0);
  if (outcome < 0) return Error{ErrorCode::unsupported, -outcome, 0, "io_uring is not available"};
  return std::unique_ptr<UringPort>(new UringPort(ring, std::move(devices)));
}

UringPort::UringPort(const io_uring& ring, PortDevices devices)
    : ring_(ring),
      devices_(std::move(devices)),
      requests_(kExpectedRequests),
      queued_(requests_),
      for_ring_(requests_),
      prepared_(requests_) {}

UringPort::~UringPort() {
  // The kernel may still write into memory of the operations it has: wait for them.
  while (sent_count() > 0) {
    io_uring_cqe* completion = nullptr;
    if (::io_uring_wait_cqe(&ring_, &completion) != 0) continue;
    ::io_uring_cqe_seen(&ring_, completion);
    --in_ring_count_;
  }
  ::io_uring_queue_exit(&ring_);
}

DeviceInfo UringPort::info(DeviceId device) const noexcept { return devices_[device].info; }

void UringPort::submit(IoOp& op) noexcept { queued_.push_back(requests_.take(op)); }

int UringPort::ready_fd() const noexcept {
  const bool has_unsent =
      !prepared_.empty() || (in_ring_count_ < kRingEntries && !(queued_.empty() && for_ring_.empty()));
  return has_unsent ? -1 : ring_.ring_fd;
}

std::size_t UringPort::poll(Wait wait) {
  std::size_t finished = reap();
  if (wait == Wait::at_once) return finished + transfer_queued();
  for (;;) {
    finished += start_queued(finished == 0 ? wait : Wait::no);
    if (finished == 0) finished += reap();
    const bool is_idle = queued_.empty() && for_ring_.empty() && in_ring_count_ == 0;
    if (finished > 0 || wait == Wait::no || is_idle) return finished;
    if (for_ring_.empty() || in_ring_count_ == kRingEntries) enter(true);
  }
}

/// Finishes what needs no ring; the rest is left to start_queued(). Not much at a time.
std::size_t UringPort::transfer_queued() {
  is_shrunk_ = {};
  std::size_t finished = 0;
  std::uint64_t bytes = 0;
  // Operations that on_done submits meanwhile wait for the next poll.
  for (std::size_t left_count = queued_.size(); left_count > 0 && bytes < kAtOnceBytesMax; --left_count) {
    const Index index = queued_.pop_front();
    const std::uint64_t op_bytes = operation_bytes(*requests_[index].op);
    if (finish_at_once(index)) {
      ++finished;
      bytes += op_bytes;
    } else {
      for_ring_.push_back(index);
    }
  }
  return finished;
}

std::size_t UringPort::start_queued(Wait wait) {
  if (broken_errno_ != 0) return fail_everything_unsent();
  std::size_t finished = transfer_queued();
  while (!for_ring_.empty() && in_ring_count_ < kRingEntries) {
    const Index index = for_ring_.pop_front();
    const IoOp& op = *requests_[index].op;
    // It may have waited here for long.
    if (op.kind != IoKind::read && is_shrunk(op.device)) {
      finish(index, short_medium_error(op));
      ++finished;
    } else {
      prepare(index);
    }
  }
  enter(finished == 0 && wait == Wait::for_one && queued_.empty());
  if (broken_errno_ != 0) return finished + fail_everything_unsent();
  return finished;
}

/// Does what needs neither the ring nor much patience: refusals, discards, and what the page cache can do. Writing
/// to the page cache may have to wait for the disk when too much of it is dirty, as for every program.
bool UringPort::finish_at_once(Index index) {
  const PortRequest& request = requests_[index];
  const IoOp& op = *request.op;
  const PortDevice& device = devices_[op.device];
  auto refusal = refuse_operation(op, device.info);
  if (!refusal && op.kind != IoKind::read && is_shrunk(op.device)) refusal = short_medium_error(op);
  if (refusal) {
    finish(index, *std::move(refusal));
    return true;
  }
  if (op.kind == IoKind::discard) {
    finish(index, discard_now(op, device));
    return true;
  }
  if (device.is_direct || request.done_bytes != 0 || request.retry_count != 0) return false;
  const bool is_durable_later = device.is_memory || !op.fua;
  if (op.kind == IoKind::flush ? !device.is_memory : !is_durable_later) return false;
  if (op.kind != IoKind::flush && op.memory.size() > kTransferAtOnceBytesMax) return false;
  auto outcome = perform_at_once(op, device);
  if (!outcome) return false;
  finish(index, std::move(*outcome));
  return true;
}

/// Looked at once for all that is transferred together.
bool UringPort::is_shrunk(DeviceId device) {
  std::optional<bool>& known = is_shrunk_[static_cast<std::size_t>(device)];
  if (!known) known = has_shrunk(devices_[device]);
  return *known;
}

void UringPort::prepare(Index index) {
  const PortRequest& request = requests_[index];
  const IoOp& op = *request.op;
  const PortDevice& device = devices_[op.device];
  // Never null: in_ring_count_ is below the ring's size.
  io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
  if (op.kind == IoKind::flush) {
    ::io_uring_prep_fsync(entry, device.fd.get(), IORING_FSYNC_DATASYNC);
  } else {
    const std::span<std::byte> rest = op.memory.subspan(request.done_bytes);
    const auto bytes = static_cast<unsigned>(std::min<std::uint64_t>(rest.size(), kTransferBytesMax));
    const std::uint64_t position = device.info.window_offset_bytes + op.offset_bytes + request.done_bytes;
    if (op.kind == IoKind::read) {
      ::io_uring_prep_read(entry, device.fd.get(), rest.data(), bytes, position);
    } else {
      ::io_uring_prep_write(entry, device.fd.get(), rest.data(), bytes, position);
      if (op.fua) entry->rw_flags = RWF_DSYNC;
    }
  }
  if (request.retry_count > kRetriesMax) entry->flags |= IOSQE_ASYNC;
  ::io_uring_sqe_set_data64(entry, index);
  prepared_.push_back(index);
  ++in_ring_count_;
}

/// Hands what is prepared to the kernel; waits for a completion if asked to.
void UringPort::enter(bool wait_for_one) {
  if (prepared_.empty() && (!wait_for_one || in_ring_count_ == 0)) return;
  if (prepared_.empty()) {
    io_uring_cqe* completion = nullptr;
    ::io_uring_wait_cqe(&ring_, &completion);  // the caller looks again whatever it answers
    return;
  }
  const int answer = wait_for_one ? ::io_uring_submit_and_wait(&ring_, 1) : ::io_uring_submit(&ring_);
  for (int taken = 0; taken < answer; ++taken)
    prepared_.pop_front();
  if (answer < 0 && !is_passing(-answer)) broken_errno_ = -answer;
}

/// After the ring refused a submission for good: nothing that is not in the kernel gets there.
std::size_t UringPort::fail_everything_unsent() {
  std::size_t finished = 0;
  while (!prepared_.empty()) {
    const Index index = prepared_.pop_front();
    --in_ring_count_;
    finish(index, operation_error(*requests_[index].op, broken_errno_));
    ++finished;
  }
  for (RequestList* const list : {&for_ring_, &queued_}) {
    for (std::size_t left_count = list->size(); left_count > 0; --left_count) {
      const Index index = list->pop_front();
      finish(index, operation_error(*requests_[index].op, broken_errno_));
      ++finished;
    }
  }
  return finished;
}

std::size_t UringPort::reap() {
  if (sent_count() == 0) return 0;
  struct Completion {
    Index index;
    int answer;
  };
  std::array<io_uring_cqe*, kRingEntries> entries{};
  std::array<Completion, kRingEntries> completions{};
  const unsigned count = ::io_uring_peek_batch_cqe(&ring_, entries.data(), kRingEntries);
  for (unsigned i = 0; i < count; ++i)
    completions[i] = {static_cast<Index>(::io_uring_cqe_get_data64(entries[i])), entries[i]->res};
  ::io_uring_cq_advance(&ring_, count);
  in_ring_count_ -= count;

  std::size_t finished = 0;
  for (unsigned i = 0; i < count; ++i)
    if (settle(completions[i].index, completions[i].answer)) ++finished;
  return finished;
}

/// Finishes a request that the kernel answered, or queues its rest again. Tells whether it finished.
bool UringPort::settle(Index index, int answer) {
  PortRequest& request = requests_[index];
  const IoOp& op = *request.op;
  if (answer < 0) {
    if (is_passing(-answer) && request.retry_count++ < 2 * kRetriesMax) {
      for_ring_.push_front(index);
      return false;
    }
    finish(index, operation_error(op, -answer));
    return true;
  }
  if (op.kind == IoKind::flush) {
    finish(index, {});
    return true;
  }
  const std::uint64_t bytes = static_cast<std::uint64_t>(answer);
  const std::uint64_t rest_bytes = op.memory.size() - request.done_bytes;
  if (bytes >= rest_bytes) {
    finish(index, {});
    return true;
  }
  const std::uint64_t kept_bytes = continuable_bytes(devices_[op.device], bytes);
  if (kept_bytes == 0) {
    finish(index, short_medium_error(op));
    return true;
  }
  request.done_bytes += kept_bytes;
  for_ring_.push_front(index);
  return false;
}

void UringPort::finish(Index index, Result<void> outcome) {
  IoOp& op = *requests_[index].op;
  requests_.release(index);
  op.on_done(op, std::move(outcome));
}

}  // namespace wc
