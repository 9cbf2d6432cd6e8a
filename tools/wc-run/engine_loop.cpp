// SPDX-License-Identifier: LGPL-2.1-or-later
// EngineLoop: queues, the wait for whatever comes first, and the orderly end.
#include "wc-run/engine_loop.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <utility>

namespace wc::tools {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

Error stopped() { return {ErrorCode::cancelled, 0, 0, "the cache is being stopped"}; }

/// Where a thread waits for its request. One for each thread, for good: the loop may still be waking it when the
/// request is over.
struct Waiter {
  std::atomic<bool> is_done = false;
  Result<void> outcome;
};

void wake_waiter(Request& request, Result<void> outcome) {
  auto& waiter = *static_cast<Waiter*>(request.owner);
  waiter.outcome = std::move(outcome);
  waiter.is_done.store(true, std::memory_order_release);
  waiter.is_done.notify_one();
}

/// A message under way; frees itself.
struct Message {
  Control control;
  std::function<void(const Result<void>&)> on_done;
};

}  // namespace

EngineLoop::EngineLoop(LiveCache live) : live_(std::move(live)) {}

EngineLoop::~EngineLoop() {
  if (thread_.joinable()) static_cast<void>(stop());
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

Result<void> EngineLoop::start() {
  wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0) return Error{ErrorCode::io, errno, 0, "no eventfd"};
  // Signals are for the threads of whoever started us.
  sigset_t all;
  sigset_t old;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &old);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
  return {};
}

Result<void> EngineLoop::perform(Request& request) {
  thread_local Waiter waiter;
  waiter.is_done.store(false, std::memory_order_relaxed);
  request.owner = &waiter;
  request.on_done = wake_waiter;
  {
    const std::scoped_lock lock(mutex_);
    if (has_ended_) return stopped();
    incoming_.push_back(&request);
  }
  wake();
  waiter.is_done.wait(false, std::memory_order_acquire);
  return std::move(waiter.outcome);
}

void EngineLoop::post(Task task) {
  {
    const std::scoped_lock lock(mutex_);
    if (!has_ended_) {
      tasks_.push_back(std::move(task));
      task = nullptr;
    }
  }
  if (task) {
    task(*this);
  } else {
    wake();
  }
}

void EngineLoop::begin_stop(std::function<void(const Result<void>&)> on_stopped) {
  post([on_stopped = std::move(on_stopped)](EngineLoop& loop) {
    if (loop.is_stopping_) return;
    loop.is_stopping_ = true;
    loop.on_stopped_ = on_stopped;
    loop.send(ControlKind::suspend, [&loop](const Result<void>& outcome) { loop.finish_stop(outcome); });
  });
}

Result<void> EngineLoop::stop() {
  begin_stop([](const Result<void>&) {});
  if (thread_.joinable()) thread_.join();
  const std::scoped_lock lock(mutex_);
  return stop_outcome_.value_or(Result<void>());
}

void EngineLoop::send(ControlKind kind, std::function<void(const Result<void>&)> on_done) {
  if (is_closed_) {
    on_done(stopped());
    return;
  }
  auto* message = new Message;
  message->on_done = std::move(on_done);
  message->control.kind = kind;
  message->control.owner = message;
  message->control.on_done = [](Control& control, Result<void> outcome) {
    const std::unique_ptr<Message> done(static_cast<Message*>(control.owner));
    done->on_done(outcome);
  };
  engine().submit(message->control);
}

/// Everything is committed; what was held back by the suspension is refused.
void EngineLoop::finish_stop(const Result<void>& outcome) {
  const std::scoped_lock lock(mutex_);
  stop_outcome_ = outcome;
}

void EngineLoop::run() {
  for (;;) {
    bool has_work = take_incoming();
    if (!is_closed_) has_work = engine().step(Wait::no) != 0 || has_work;
    if (stop_outcome_ && !is_closed_) {
      // Not from inside step(), which finish_stop was called by.
      is_closed_ = true;
      if (auto closed = engine().close(); !closed && *stop_outcome_) finish_stop(closed);
      if (on_stopped_) on_stopped_(*stop_outcome_);
    }
    if (is_closed_) {
      const std::scoped_lock lock(mutex_);
      if (incoming_.empty() && tasks_.empty()) {
        has_ended_ = true;
        return;
      }
    }
    if (!has_work && !is_closed_) sleep();
  }
}

bool EngineLoop::take_incoming() {
  {
    const std::scoped_lock lock(mutex_);
    taken_requests_.swap(incoming_);
    taken_tasks_.swap(tasks_);
  }
  const bool any = !taken_requests_.empty() || !taken_tasks_.empty();
  for (Request* const request : taken_requests_)
    submit(*request);
  taken_requests_.clear();
  for (const Task& task : taken_tasks_)
    task(*this);
  taken_tasks_.clear();
  return any;
}

void EngineLoop::submit(Request& request) {
  if (is_closed_) {
    request.on_done(request, stopped());
  } else {
    engine().submit(request);
  }
}

/// Until a request or task comes, I/O is done, or a timer of the engine runs out.
void EngineLoop::sleep() {
  std::array<pollfd, 2> fds{{{wake_fd_, POLLIN, 0}, {-1, POLLIN, 0}}};
  if (engine().has_io_in_flight()) {
    fds[1].fd = live_.devices->port().ready_fd();
    if (fds[1].fd < 0) return;  // step() itself must go on
  }
  std::optional<timespec> timeout;
  if (const auto deadline_ns = engine().next_deadline_ns()) {
    const std::uint64_t now_ns = live_.devices->clock().now_ns();
    const std::uint64_t rest_ns = *deadline_ns > now_ns ? *deadline_ns - now_ns : 0;
    timeout = timespec{static_cast<time_t>(rest_ns / kNsPerSecond), static_cast<long>(rest_ns % kNsPerSecond)};
  }
  is_asleep_.store(true);
  bool has_come = false;
  {
    const std::scoped_lock lock(mutex_);
    has_come = !incoming_.empty() || !tasks_.empty();
  }
  if (!has_come) ::ppoll(fds.data(), fds.size(), timeout ? &*timeout : nullptr, nullptr);
  is_asleep_.store(false);
  if ((fds[0].revents & POLLIN) != 0) drain_wakeups();
}

void EngineLoop::drain_wakeups() {
  std::uint64_t count = 0;
  static_cast<void>(::read(wake_fd_, &count, sizeof count) < 0);
}

void EngineLoop::wake() {
  if (!is_asleep_.exchange(false)) return;  // it looks at the queues before it sleeps
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_fd_, &one, sizeof one) < 0);
}

}  // namespace wc::tools
