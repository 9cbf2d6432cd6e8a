// SPDX-License-Identifier: LGPL-2.1-or-later
// UblkQueue: one ring for requests, answers and everything the thread waits for.
#include "wc-run/ublk_queue.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>

#include "wc-run/engine_errno.hpp"
#include "wc-run/ublk_control.hpp"

namespace wc::tools {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr int kOpenTries = 200;  // the device node comes a moment after the device
constexpr useconds_t kOpenPauseUs = 10'000;

// Marks in user_data beside the numbers of tags.
constexpr std::uint64_t kOwnWakeup = 1U << 16;
constexpr std::uint64_t kLoopWakeup = kOwnWakeup + 1;
constexpr std::uint64_t kPortReady = kOwnWakeup + 2;
constexpr unsigned kWatchedMax = 4;

std::size_t description_bytes(std::uint16_t depth) {
  return round_up(depth * sizeof(ublksrv_io_desc), static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
}

Error system_error(const std::string& what) { return Error{ErrorCode::io, errno, 0, what}; }

void take_count(int fd) {
  std::uint64_t count = 0;
  static_cast<void>(::read(fd, &count, sizeof count) < 0);
}

}  // namespace

UblkQueue::~UblkQueue() {
  if (thread_.joinable()) thread_.join();
  if (has_ring_) ::io_uring_queue_exit(&ring_);
  if (descriptions_ != nullptr) {
    ::munmap(const_cast<ublksrv_io_desc*>(descriptions_), description_bytes(setup_.depth));
  }
  if (!buffers_.empty()) ::munmap(buffers_.data(), buffers_.size());
  if (device_fd_ >= 0) ::close(device_fd_);
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

Result<void> UblkQueue::start() {
  std::promise<Result<void>> is_open;
  auto opened = is_open.get_future();
  sigset_t all;
  sigset_t old;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &old);
  thread_ = std::thread([this, promise = std::move(is_open)]() mutable { run(std::move(promise)); });
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
  Result<void> outcome = opened.get();
  is_running_ = bool(outcome);
  return outcome;
}

Result<void> UblkQueue::open() {
  const std::string path = "/dev/ublkc" + std::to_string(setup_.device);
  for (int tries = 0; device_fd_ < 0 && tries < kOpenTries; ++tries) {
    if (tries != 0) ::usleep(kOpenPauseUs);
    device_fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (device_fd_ < 0 && errno != ENOENT && errno != EBUSY) break;
  }
  if (device_fd_ < 0) return system_error(path + ": cannot be opened");
  const auto offset =
      static_cast<off_t>(UBLKSRV_CMD_BUF_OFFSET + setup_.queue * (UBLK_MAX_QUEUE_DEPTH * sizeof(ublksrv_io_desc)));
  void* shared =
      ::mmap(nullptr, description_bytes(setup_.depth), PROT_READ, MAP_SHARED | MAP_POPULATE, device_fd_, offset);
  if (shared == MAP_FAILED) return system_error(path + ": cannot be mapped");
  descriptions_ = static_cast<const ublksrv_io_desc*>(shared);
  // Touched now: a page that is missing later might have to be freed by a write through this very device.
  const std::size_t bytes = std::size_t{setup_.depth} * setup_.request_bytes;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) return system_error("no memory for requests");
  buffers_ = {static_cast<std::byte*>(memory), bytes};
  wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0) return system_error("no eventfd");
  return open_ring();
}

Result<void> UblkQueue::open_ring() {
  const unsigned entries = setup_.depth + kWatchedMax;
  int outcome = ::io_uring_queue_init(entries, &ring_, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
  if (outcome == -EINVAL) outcome = ::io_uring_queue_init(entries, &ring_, IORING_SETUP_COOP_TASKRUN);
  if (outcome < 0) return Error{ErrorCode::unsupported, -outcome, 0, "io_uring is not available, and ublk needs it"};
  has_ring_ = true;
  tags_ = std::vector<Tag>(setup_.depth);
  for (std::uint16_t number = 0; number < setup_.depth; ++number) {
    tags_[number].home = this;
    tags_[number].number = number;
    fetch(tags_[number], UBLK_IO_FETCH_REQ);
    ++active_count_;
  }
  watch(wake_fd_, kOwnWakeup);
  if (setup_.is_driver) watch(loop_.wake_fd(), kLoopWakeup);
  if (const int sent = ::io_uring_submit(&ring_); sent < 0) {
    return Error{ErrorCode::io, -sent, 0, "the kernel takes no commands for a ublk queue"};
  }
  return {};
}

void UblkQueue::run(std::promise<Result<void>> is_open) {
  Result<void> opened = open();
  const bool is_usable = bool(opened);
  is_open.set_value(std::move(opened));
  EngineLoop::Rest rest;
  rest.for_ns = 0;
  rest.has_ended = !setup_.is_driver;
  while (is_usable && (active_count_ != 0 || !rest.has_ended)) {
    wait(rest);
    reap();
    if (setup_.is_driver && !rest.has_ended) {
      rest = loop_.drive(batch_);
    } else if (!batch_.empty()) {
      loop_.submit(batch_);
    }
    batch_.clear();
    answer_finished();
  }
}

/// Sends what was prepared, and waits until anything comes unless something is to be done already.
void UblkQueue::wait(const EngineLoop::Rest& rest) {
  const bool drives = setup_.is_driver && !rest.has_ended;
  if (drives && rest.port_fd >= 0 && !is_port_watched_) {
    io_uring_sqe& entry = next_entry();
    ::io_uring_prep_poll_add(&entry, rest.port_fd, POLLIN);
    ::io_uring_sqe_set_data64(&entry, kPortReady);
    is_port_watched_ = true;
  }
  bool may_sleep = !drives || rest.for_ns != 0U;
  {
    const std::scoped_lock lock(mutex_);
    may_sleep = may_sleep && finished_.empty();
    is_asleep_ = may_sleep;
  }
  if (!may_sleep) {
    ::io_uring_submit_and_get_events(&ring_);
  } else if (drives && rest.for_ns) {
    __kernel_timespec timeout{static_cast<std::int64_t>(*rest.for_ns / kNsPerSecond),
                              static_cast<long long>(*rest.for_ns % kNsPerSecond)};
    io_uring_cqe* first = nullptr;
    ::io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
  } else {
    ::io_uring_submit_and_wait(&ring_, 1);
  }
  const std::scoped_lock lock(mutex_);
  is_asleep_ = false;
}

void UblkQueue::reap() {
  unsigned head = 0;
  unsigned count = 0;
  io_uring_cqe* completion = nullptr;
  io_uring_for_each_cqe(&ring_, head, completion) {
    ++count;
    const std::uint64_t mark = ::io_uring_cqe_get_data64(completion);
    if (mark < kOwnWakeup) {
      Tag& tag = tags_[mark];
      // Anything else means that the device was stopped: this tag gets no more requests.
      if (completion->res == UBLK_IO_RES_OK) {
        take_request(tag);
      } else if (--active_count_ == 0) {
        on_stopped_();
      }
      continue;
    }
    if (mark == kOwnWakeup) take_count(wake_fd_);
    if (mark == kLoopWakeup) loop_.take_wakeup();
    if ((completion->flags & IORING_CQE_F_MORE) != 0) continue;
    if (mark == kOwnWakeup) watch(wake_fd_, mark);
    if (mark == kLoopWakeup) watch(loop_.wake_fd(), mark);
    if (mark == kPortReady) is_port_watched_ = false;
  }
  ::io_uring_cq_advance(&ring_, count);
}

void UblkQueue::take_request(Tag& tag) {
  const ublksrv_io_desc& wanted = description(tag);
  const std::uint32_t flags = wanted.op_flags & ~0xffU;
  const std::uint64_t length = std::uint64_t{wanted.nr_sectors} * kSectorBytes;
  Request& request = tag.request;
  request = {};
  request.owner = &tag;
  request.on_done = [](Request& done, Result<void> outcome) {
    auto& finished = *static_cast<Tag*>(done.owner);
    finished.home->finish(finished, outcome);
  };
  request.offset_bytes = wanted.start_sector * kSectorBytes;
  request.fua = (flags & UBLK_IO_F_FUA) != 0;
  request.is_metadata = (flags & UBLK_IO_F_META) != 0;
  tag.result = 0;
  switch (ublksrv_get_op(&wanted)) {
    case UBLK_IO_OP_READ:
    case UBLK_IO_OP_WRITE:
      request.kind = ublksrv_get_op(&wanted) == UBLK_IO_OP_READ ? RequestKind::read : RequestKind::write;
      request.memory = buffers_.subspan(std::size_t{tag.number} * setup_.request_bytes, setup_.request_bytes);
      if (length > request.memory.size()) {
        answer(tag, -EINVAL);
        return;
      }
      request.memory = request.memory.first(length);
      tag.result = static_cast<std::int32_t>(length);
      break;
    case UBLK_IO_OP_FLUSH:
      request.kind = RequestKind::flush;
      break;
    case UBLK_IO_OP_DISCARD:
      request.kind = RequestKind::discard;
      request.length_bytes = length;
      break;
    default:
      answer(tag, -EOPNOTSUPP);
      return;
  }
  batch_.push_back(&request);
}

/// In any thread, with the engine held.
void UblkQueue::finish(Tag& tag, const Result<void>& outcome) {
  if (!outcome) tag.result = -errno_of(outcome.error());
  const std::scoped_lock lock(mutex_);
  finished_.push_back(&tag);
  if (!is_asleep_) return;
  is_asleep_ = false;
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_fd_, &one, sizeof one) < 0);
}

void UblkQueue::answer_finished() {
  std::vector<Tag*> finished;
  {
    const std::scoped_lock lock(mutex_);
    finished.swap(finished_);
  }
  for (Tag* const tag : finished)
    answer(*tag, tag->result);
  finished.clear();
  const std::scoped_lock lock(mutex_);
  if (finished_.empty()) finished_.swap(finished);  // keeps its memory
}

void UblkQueue::answer(Tag& tag, std::int32_t result) {
  tag.result = result;
  fetch(tag, UBLK_IO_COMMIT_AND_FETCH_REQ);
}

void UblkQueue::fetch(Tag& tag, std::uint32_t operation) {
  io_uring_sqe& entry = next_entry();
  std::memset(&entry, 0, sizeof entry);
  entry.opcode = IORING_OP_URING_CMD;
  entry.fd = device_fd_;
  entry.cmd_op = ublk_io_operation(operation, setup_.is_legacy);
  ublksrv_io_cmd command{};
  command.q_id = setup_.queue;
  command.tag = tag.number;
  command.result = tag.result;
  command.addr = reinterpret_cast<std::uintptr_t>(buffers_.data() + std::size_t{tag.number} * setup_.request_bytes);
  static_assert(sizeof command <= sizeof entry - offsetof(io_uring_sqe, cmd));
  std::memcpy(entry.cmd, &command, sizeof command);
  ::io_uring_sqe_set_data64(&entry, tag.number);
}

void UblkQueue::watch(int fd, std::uint64_t mark) {
  io_uring_sqe& entry = next_entry();
  ::io_uring_prep_poll_multishot(&entry, fd, POLLIN);
  ::io_uring_sqe_set_data64(&entry, mark);
}

io_uring_sqe& UblkQueue::next_entry() {
  io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
  while (entry == nullptr) {
    ::io_uring_submit(&ring_);
    entry = ::io_uring_get_sqe(&ring_);
  }
  return *entry;
}

}  // namespace wc::tools
