// SPDX-License-Identifier: LGPL-2.1-or-later
// EngineLoop: the one thread that owns the engine, and the doors for all others.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "wc-run/live_cache.hpp"

namespace wc::tools {

/// Requests and tasks come from any thread; the engine, its ports and every `on_done` run in the loop's own.
class EngineLoop {
 public:
  explicit EngineLoop(LiveCache live);
  ~EngineLoop();  ///< stops, if it was started
  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;

  /// Starts the thread; after the process has forked for the last time. Errors: io.
  Result<void> start();

  /// Performs a request and waits. `request.on_done` and `owner` are the loop's. Any thread but the loop's.
  Result<void> perform(Request& request);

  /// Runs `task` in the loop's thread, or, once the loop has ended, in the caller's.
  using Task = std::function<void(EngineLoop& loop)>;
  void post(Task task);

  /// Finishes what is under way and commits; drains first if flush_on_suspend was requested. Requests that come
  /// later fail. `on_stopped` runs in the loop's thread. Any thread; only the first call does something.
  void begin_stop(std::function<void(const Result<void>&)> on_stopped);
  /// The same, and waits until the thread has ended.
  Result<void> stop();

  // For tasks only: the loop's thread.
  Engine& engine() noexcept { return *live_.engine; }
  const LiveCache& live() const noexcept { return live_; }
  bool is_closed() const noexcept { return is_closed_; }
  /// Sends a message; `on_done` runs in the loop's thread.
  void send(ControlKind kind, std::function<void(const Result<void>&)> on_done);

 private:
  void run();
  bool take_incoming();
  void submit(Request& request);
  void sleep();
  void wake();
  void drain_wakeups();
  void finish_stop(const Result<void>& outcome);

  LiveCache live_;
  int wake_fd_ = -1;
  std::thread thread_;

  std::mutex mutex_;
  std::vector<Request*> incoming_;            ///< guarded by mutex_
  std::vector<Task> tasks_;                   ///< guarded by mutex_
  bool has_ended_ = false;                    ///< guarded by mutex_
  std::optional<Result<void>> stop_outcome_;  ///< guarded by mutex_
  std::atomic<bool> is_asleep_ = false;

  // The loop's thread only.
  std::vector<Request*> taken_requests_;
  std::vector<Task> taken_tasks_;
  bool is_stopping_ = false;
  bool is_closed_ = false;
  std::function<void(const Result<void>&)> on_stopped_;
};

}  // namespace wc::tools
