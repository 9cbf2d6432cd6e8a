// SPDX-License-Identifier: LGPL-2.1-or-later
// UringPort: the IoPort of production, on one io_uring.
#pragma once

#include <liburing.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "io/port_device.hpp"
#include "io/request_table.hpp"
#include "writecache/port.hpp"

namespace wc {

/// Queues any number of operations and keeps up to kRingEntries of them in the kernel; what the page cache of an image
/// can do at once never gets there. Only poll(no) and poll(for_one) put anything into the kernel: they belong to one
/// thread, as the kernel takes operations back from a thread that ends.
/// The destructor waits for what is in the kernel and reports none of it.
class UringPort final : public IoPort {
 public:
  /// Operations in the kernel at once; more wait in the queue.
  static constexpr unsigned kRingEntries = 128;

  /// Takes the descriptors out of `devices` only when it succeeds.
  /// Errors: unsupported where the machine forbids or lacks io_uring.
  static Result<std::unique_ptr<UringPort>> create(PortDevices& devices);

  ~UringPort() override;
  UringPort(const UringPort&) = delete;
  UringPort& operator=(const UringPort&) = delete;

  DeviceInfo info(DeviceId device) const noexcept override;
  void submit(IoOp& op) noexcept override;
  std::size_t poll(Wait wait) override;
  int ready_fd() const noexcept override;

 private:
  using Index = RequestTable::Index;

  UringPort(const io_uring& ring, PortDevices devices);

  std::size_t transfer_queued();
  bool finish_at_once(Index index);
  std::size_t start_queued(Wait wait);
  bool is_shrunk(DeviceId device);
  void prepare(Index index);
  void enter(bool wait_for_one);
  std::size_t fail_everything_unsent();
  std::size_t reap();
  bool settle(Index index, int answer);
  void finish(Index index, Result<void> outcome);
  std::size_t sent_count() const noexcept { return in_ring_count_ - prepared_.size(); }

  io_uring ring_;
  PortDevices devices_;
  RequestTable requests_;
  RequestList queued_;             ///< not looked at yet
  RequestList for_ring_;           ///< cannot be finished at once
  RequestList prepared_;           ///< in the ring's submission queue, not yet taken by the kernel
  std::size_t in_ring_count_ = 0;  ///< prepared or in the kernel
  std::array<std::optional<bool>, 2> is_shrunk_;  ///< of the devices, as far as it was looked at
  int broken_errno_ = 0;           ///< the kernel takes no more submissions
};

}  // namespace wc
