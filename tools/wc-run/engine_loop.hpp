// SPDX-License-Identifier: LGPL-2.1-or-later
// EngineLoop: the engine between many threads. Whoever has a request works on it; one driver does what needs waiting.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "wc-run/live_cache.hpp"
#include "wc-run/spinning_mutex.hpp"

namespace wc::tools {

/// A thread that brings a request takes the engine, goes as far as that is possible without waiting, and leaves the
/// rest to the driver: operations in flight, timers, the end. So what the page cache or mapped memory can do at once
/// costs no change of threads, and no operation is ever in flight for a thread that may end. Every `on_done` and task
/// runs in some thread that holds the engine, and must not wait.
class EngineLoop {
 public:
  explicit EngineLoop(LiveCache live);
  ~EngineLoop();  ///< stops, if it was started
  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;

  /// Makes what the driver needs; after the process has forked for the last time. Errors: io.
  Result<void> prepare();
  /// The same, and starts a thread that is the driver.
  Result<void> start();

  /// Performs a request and waits. `request.on_done` and `owner` are the loop's. Any thread but the driver.
  Result<void> perform(Request& request);
  /// Hands requests over; their `on_done` may run before this returns, or later in another thread. Any thread.
  void submit(std::span<Request* const> requests);

  /// Runs `task` at once in the caller's thread, with the engine held. Any thread, but not inside a task.
  using Task = std::function<void(EngineLoop& loop)>;
  void post(const Task& task);

  /// Finishes what is under way, commits (drains first if flush_on_suspend was requested), and waits until the driver
  /// has ended. Requests that come later fail. Any thread but the driver.
  Result<void> stop();
  /// The same where there is no driver, nor any other thread.
  Result<void> close();

  // ---- for the one thread that drives, if start() has not made one
  struct Rest {
    bool has_ended = false;               ///< closed: nothing is to be done any more
    int port_fd = -1;                     ///< drive again when it is readable, if it is not -1,
    std::optional<std::uint64_t> for_ns;  ///< or when this time has passed, or when wake_fd() is readable
  };
  /// Hands requests over, and does all that can be done now.
  Rest drive(std::span<Request* const> requests = {});
  int wake_fd() const noexcept { return wake_fd_; }
  /// Takes what made wake_fd() readable.
  void take_wakeup();

  // ---- for tasks only
  Engine& engine() noexcept { return *live_.engine; }
  const LiveCache& live() const noexcept { return live_; }
  bool is_closed() const noexcept { return is_closed_; }
  /// Sends a message; `on_done` runs with the engine held.
  void send(ControlKind kind, std::function<void(const Result<void>&)> on_done);
  /// Begins what stop() waits for. `on_stopped` runs with the engine held.
  void begin_stop(std::function<void(const Result<void>&)> on_stopped);

 private:
  void run();
  void hand_over(std::span<Request* const> requests);
  void go_on();
  bool has_work_for_driver();
  void close_if_stopped();
  void wake();

  LiveCache live_;
  int wake_fd_ = -1;
  std::thread thread_;
  std::atomic<bool> has_ended_ = false;

  SpinningMutex mutex_;  ///< of the engine and of all below
  bool is_asleep_ = false;
  std::uint64_t alarm_ns_ = 0;  ///< when a sleeping driver wakes by itself
  bool is_stopping_ = false;
  bool is_closed_ = false;
  std::optional<Result<void>> stop_outcome_;
  std::vector<std::function<void(const Result<void>&)>> on_stopped_;
};

}  // namespace wc::tools
