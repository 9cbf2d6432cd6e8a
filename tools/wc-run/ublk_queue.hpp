// SPDX-License-Identifier: LGPL-2.1-or-later
// UblkQueue: one queue of a ublk device: block requests become requests of the engine, and nothing else.
#pragma once

#include <liburing.h>
#include <linux/ublk_cmd.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "wc-run/engine_loop.hpp"

namespace wc::tools {

struct UblkQueueSetup {
  std::uint32_t device = 0;  ///< the N of /dev/ublkbN
  std::uint16_t queue = 0;
  std::uint16_t depth = 0;          ///< requests at once
  std::uint32_t request_bytes = 0;  ///< largest one
  bool is_legacy = false;           ///< UblkControl::is_legacy
  bool is_driver = false;           ///< its thread also drives the engine (EngineLoop::drive)
};

/// A thread of its own, since the kernel gives the requests of a queue to one thread only.
class UblkQueue {
 public:
  /// `on_stopped` runs in the queue's thread when the kernel will send no more requests.
  UblkQueue(EngineLoop& loop, const UblkQueueSetup& setup, std::function<void()> on_stopped)
      : loop_(loop), setup_(setup), on_stopped_(std::move(on_stopped)) {}
  ~UblkQueue();
  UblkQueue(const UblkQueue&) = delete;
  UblkQueue& operator=(const UblkQueue&) = delete;

  /// Returns when all requests can come. The thread then runs until the device has been stopped, or its kernel part is
  /// gone; the driver's also until the engine is closed. Errors: io, unsupported.
  Result<void> start();
  /// start() has succeeded.
  bool is_running() const noexcept { return is_running_; }

 private:
  struct Tag {
    UblkQueue* home = nullptr;
    Request request;
    std::uint16_t number = 0;
    std::int32_t result = 0;  ///< bytes or a negative errno
  };

  Result<void> open();
  Result<void> open_ring();
  void run(std::promise<Result<void>> is_open);
  void wait(const EngineLoop::Rest& rest);
  void reap();
  void take_request(Tag& tag);
  void finish(Tag& tag, const Result<void>& outcome);
  void answer(Tag& tag, std::int32_t result);
  void answer_finished();
  void fetch(Tag& tag, std::uint32_t operation);
  void watch(int fd, std::uint64_t mark);
  io_uring_sqe& next_entry();
  const ublksrv_io_desc& description(const Tag& tag) const noexcept { return descriptions_[tag.number]; }

  EngineLoop& loop_;
  UblkQueueSetup setup_;
  std::function<void()> on_stopped_;
  std::thread thread_;
  bool is_running_ = false;
  int device_fd_ = -1;
  int wake_fd_ = -1;  ///< of this queue: another thread has finished a request of it
  io_uring ring_{};
  bool has_ring_ = false;
  const ublksrv_io_desc* descriptions_ = nullptr;  ///< of all tags, written by the kernel
  std::span<std::byte> buffers_;                   ///< request_bytes for each tag
  std::vector<Tag> tags_;
  std::vector<Request*> batch_;   ///< came with the last look at the ring
  std::size_t active_count_ = 0;  ///< tags the kernel has or we work on
  bool is_port_watched_ = false;

  std::mutex mutex_;
  std::vector<Tag*> finished_;  ///< guarded by mutex_
  bool is_asleep_ = false;      ///< guarded by mutex_
};

}  // namespace wc::tools
