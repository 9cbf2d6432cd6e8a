// SPDX-License-Identifier: LGPL-2.1-or-later
// UblkControl: the commands of /dev/ublk-control, one after the other.
#pragma once

#include <liburing.h>
#include <linux/ublk_cmd.h>

#include <cstdint>
#include <memory>

#include "writecache/result.hpp"

namespace wc::tools {

/// Device numbers are the N of /dev/ublkbN. Errors of all commands: not_found (no such device), busy, permission,
/// unsupported, io.
class UblkControl {
 public:
  /// Errors: unsupported (the kernel has no ublk, or no io_uring for it), permission.
  static Result<std::unique_ptr<UblkControl>> open();
  ~UblkControl();
  UblkControl(const UblkControl&) = delete;
  UblkControl& operator=(const UblkControl&) = delete;

  /// Makes a device; `info.dev_id` of all ones lets the kernel choose. Afterwards `info` is as the kernel has it.
  Result<void> add(ublksrv_ctrl_dev_info& info);
  Result<ublksrv_ctrl_dev_info> info(std::uint32_t number);
  Result<void> set_params(std::uint32_t number, ublk_params& params);
  Result<ublk_params> params(std::uint32_t number);
  /// Returns once every queue has been fetched from: other threads must do that meanwhile.
  Result<void> start(std::uint32_t number);
  /// Ends the block device. What is written behind it in the kernel is still written, so the queues must be served.
  Result<void> stop(std::uint32_t number);
  /// Removes it, once its queues are closed.
  Result<void> remove(std::uint32_t number);
  /// Takes over a device whose server has ended. Busy as long as the kernel has not noticed the end.
  Result<void> begin_recovery(std::uint32_t number);
  Result<void> end_recovery(std::uint32_t number);  ///< as start()

  /// Commands of a kernel before 6.4 have no encoding.
  bool is_legacy() const noexcept { return is_legacy_; }

 private:
  UblkControl(int fd, const io_uring& ring) : fd_(fd), ring_(ring) {}
  int run(std::uint32_t operation, ublksrv_ctrl_cmd command);
  Result<void> run_named(const char* what, std::uint32_t operation, const ublksrv_ctrl_cmd& command);

  int fd_;
  io_uring ring_;
  bool is_legacy_ = false;
};

/// The number of an I/O command as this kernel wants it.
std::uint32_t ublk_io_operation(std::uint32_t operation, bool is_legacy) noexcept;

}  // namespace wc::tools
