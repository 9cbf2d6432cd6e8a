// SPDX-License-Identifier: LGPL-2.1-or-later
// EngineLoop: who steps the engine when, the driver's sleep, and the orderly end.
#include "wc-run/engine_loop.hpp"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <limits>
#include <mutex>
#include <utility>

namespace wc::tools {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

Error stopped() { return {ErrorCode::cancelled, 0, 0, "the cache is being stopped"}; }

/// Where a thread waits for its request. A semaphore of the C library: it may be gone as soon as wait() has returned,
/// and waiting for a std::atomic spins first, which costs whoever would finish the request.
class Waiter {
 public:
  Waiter() { ::sem_init(&done_, 0, 0); }
  ~Waiter() { ::sem_destroy(&done_); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  void finish(Result<void> outcome) {
    outcome_ = std::move(outcome);
    ::sem_post(&done_);
  }
  Result<void> wait() {
    while (::sem_wait(&done_) != 0) {
    }
    return std::move(outcome_);
  }

 private:
  sem_t done_{};
  Result<void> outcome_;
};

void wake_waiter(Request& request, Result<void> outcome) {
  static_cast<Waiter*>(request.owner)->finish(std::move(outcome));
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

Result<void> EngineLoop::prepare() {
  wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0) return Error{ErrorCode::io, errno, 0, "no eventfd"};
  return {};
}

Result<void> EngineLoop::start() {
  if (auto prepared = prepare(); !prepared) return prepared;
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
  Waiter waiter;
  request.owner = &waiter;
  request.on_done = wake_waiter;
  Request* const requests[] = {&request};
  submit(requests);
  return waiter.wait();
}

void EngineLoop::submit(std::span<Request* const> requests) {
  for (const Request* const request : requests)
    engine().announce(*request);
  const std::scoped_lock lock(mutex_);
  hand_over(requests);
  go_on();
}

void EngineLoop::hand_over(std::span<Request* const> requests) {
  for (Request* const request : requests) {
    if (is_closed_) {
      request->on_done(*request, stopped());
    } else {
      engine().submit(*request);
    }
  }
}

/// As far as a thread can that is not the driver.
void EngineLoop::go_on() {
  if (is_closed_) return;
  engine().step(Wait::at_once);
  if (has_work_for_driver()) wake();
}

void EngineLoop::post(const Task& task) {
  const std::scoped_lock lock(mutex_);
  task(*this);
  go_on();
}

void EngineLoop::begin_stop(std::function<void(const Result<void>&)> on_stopped) {
  if (is_closed_) {
    on_stopped(*stop_outcome_);
    return;
  }
  on_stopped_.push_back(std::move(on_stopped));
  if (std::exchange(is_stopping_, true)) return;
  send(ControlKind::suspend, [this](const Result<void>& outcome) { stop_outcome_ = outcome; });
}

Result<void> EngineLoop::close() {
  const std::scoped_lock lock(mutex_);
  is_closed_ = true;
  return engine().close();
}

Result<void> EngineLoop::stop() {
  post([](EngineLoop& loop) { loop.begin_stop([](const Result<void>&) {}); });
  if (thread_.joinable()) thread_.join();
  has_ended_.wait(false);
  const std::scoped_lock lock(mutex_);
  return *stop_outcome_;
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

/// A suspension that was to be the last one is done. Not inside step(), which may have told so.
void EngineLoop::close_if_stopped() {
  if (!stop_outcome_ || is_closed_) return;
  is_closed_ = true;
  // What the suspension held back is refused.
  if (auto closed = engine().close(); !closed && *stop_outcome_) stop_outcome_ = closed;
  for (const auto& on_stopped : on_stopped_)
    on_stopped(*stop_outcome_);
}

EngineLoop::Rest EngineLoop::drive(std::span<Request* const> requests) {
  const std::scoped_lock lock(mutex_);
  is_asleep_ = false;
  Rest rest;
  hand_over(requests);
  if (!is_closed_) engine().step(Wait::no);
  close_if_stopped();
  if (is_closed_) {
    rest.has_ended = true;
    has_ended_ = true;
    has_ended_.notify_all();
    return rest;
  }
  const bool is_working = engine().has_io_in_flight();
  if (is_working) rest.port_fd = live_.devices->port().ready_fd();
  alarm_ns_ = engine().next_deadline_ns().value_or(kNever);
  if (alarm_ns_ != kNever) {
    const std::uint64_t now_ns = live_.devices->clock().now_ns();
    rest.for_ns = alarm_ns_ > now_ns ? alarm_ns_ - now_ns : 0;
  }
  if (is_working && rest.port_fd < 0) rest.for_ns = 0;  // poll() itself must go on
  is_asleep_ = rest.for_ns != 0;
  return rest;
}

/// Something is left that its thread cannot wait for, and the driver will not notice by itself.
bool EngineLoop::has_work_for_driver() {
  if (!is_asleep_) return false;
  if (stop_outcome_) return true;
  if (engine().has_io_in_flight() && live_.devices->port().ready_fd() < 0) return true;
  return engine().next_deadline_ns().value_or(kNever) < alarm_ns_;
}

/// Until the driver's next turn once is enough.
void EngineLoop::wake() {
  is_asleep_ = false;
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_fd_, &one, sizeof one) < 0);
}

void EngineLoop::take_wakeup() {
  std::uint64_t count = 0;
  static_cast<void>(::read(wake_fd_, &count, sizeof count) < 0);
}

void EngineLoop::run() {
  for (;;) {
    const Rest rest = drive();
    if (rest.has_ended) return;
    std::array<pollfd, 2> fds{{{wake_fd_, POLLIN, 0}, {rest.port_fd, POLLIN, 0}}};
    timespec timeout{};
    if (rest.for_ns) {
      timeout = {static_cast<time_t>(*rest.for_ns / kNsPerSecond), static_cast<long>(*rest.for_ns % kNsPerSecond)};
    }
    ::ppoll(fds.data(), fds.size(), rest.for_ns ? &timeout : nullptr, nullptr);
    if ((fds[0].revents & POLLIN) != 0) take_wakeup();
  }
}

}  // namespace wc::tools
