// SPDX-License-Identifier: LGPL-2.1-or-later
// UblkControl: io_uring commands of 128 bytes, in both encodings.
#include "wc-run/ublk_control.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace wc::tools {
namespace {

constexpr const char* kControlPath = "/dev/ublk-control";
constexpr unsigned kRingEntries = 4;
constexpr char kIoctlType = 'u';
constexpr std::uint32_t kGetFeatures = 0x13;  // newer than the header of Debian 12
constexpr std::uint16_t kNoQueue = 0xffff;

bool only_reads(std::uint32_t operation) noexcept {
  return operation == UBLK_CMD_GET_DEV_INFO || operation == UBLK_CMD_GET_PARAMS || operation == kGetFeatures;
}

std::uint32_t encoded(std::uint32_t operation) noexcept {
  if (only_reads(operation))
    return static_cast<std::uint32_t>(_IOC(_IOC_READ, kIoctlType, operation, sizeof(ublksrv_ctrl_cmd)));
  return static_cast<std::uint32_t>(_IOC(_IOC_READ | _IOC_WRITE, kIoctlType, operation, sizeof(ublksrv_ctrl_cmd)));
}

ublksrv_ctrl_cmd command_for(std::uint32_t number) noexcept {
  ublksrv_ctrl_cmd command{};
  command.dev_id = number;
  command.queue_id = kNoQueue;
  return command;
}

template <class T>
ublksrv_ctrl_cmd command_with(std::uint32_t number, T& data) noexcept {
  ublksrv_ctrl_cmd command = command_for(number);
  command.addr = reinterpret_cast<std::uintptr_t>(&data);
  command.len = sizeof data;
  return command;
}

ublksrv_ctrl_cmd command_of_us(std::uint32_t number) noexcept {
  ublksrv_ctrl_cmd command = command_for(number);
  command.data[0] = static_cast<std::uint64_t>(::getpid());
  return command;
}

ErrorCode code_of(int os_errno) noexcept {
  switch (os_errno) {
    case ENODEV:
    case ENOENT:
      return ErrorCode::not_found;
    case EBUSY:
    case EEXIST:
      return ErrorCode::busy;
    case EPERM:
    case EACCES:
      return ErrorCode::permission;
    case EOPNOTSUPP:
      return ErrorCode::unsupported;
    default:
      return ErrorCode::io;
  }
}

}  // namespace

std::uint32_t ublk_io_operation(std::uint32_t operation, bool is_legacy) noexcept {
  if (is_legacy) return operation;
  return static_cast<std::uint32_t>(_IOC(_IOC_READ | _IOC_WRITE, kIoctlType, operation, sizeof(ublksrv_io_cmd)));
}

Result<std::unique_ptr<UblkControl>> UblkControl::open() {
  const int fd = ::open(kControlPath, O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    const bool is_refused = errno == EACCES || errno == EPERM;
    return Error{is_refused ? ErrorCode::permission : ErrorCode::unsupported, errno, 0,
                 std::string(kControlPath) + ": cannot be opened (" +
                     (is_refused ? "are you root?" : "is the module ublk_drv loaded? serve with --nbd otherwise") +
                     ")"};
  }
  io_uring ring{};
  if (const int outcome = ::io_uring_queue_init(kRingEntries, &ring, IORING_SETUP_SQE128); outcome < 0) {
    ::close(fd);
    return Error{ErrorCode::unsupported, -outcome, 0, "io_uring is not available, and ublk needs it (use --nbd)"};
  }
  std::unique_ptr<UblkControl> control(new UblkControl(fd, ring));
  std::uint64_t features = 0;
  control->is_legacy_ = control->run(kGetFeatures, command_with(0, features)) < 0;
  return control;
}

UblkControl::~UblkControl() {
  ::io_uring_queue_exit(&ring_);
  ::close(fd_);
}

/// 0 or a negative errno.
int UblkControl::run(std::uint32_t operation, ublksrv_ctrl_cmd command) {
  io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
  if (entry == nullptr) return -EBUSY;
  std::memset(entry, 0, 2 * sizeof *entry);
  entry->opcode = IORING_OP_URING_CMD;
  entry->fd = fd_;
  entry->cmd_op = is_legacy_ ? operation : encoded(operation);
  std::memcpy(entry->cmd, &command, sizeof command);
  int outcome = ::io_uring_submit(&ring_);
  if (outcome < 0) return outcome;
  io_uring_cqe* completion = nullptr;
  do {
    outcome = ::io_uring_wait_cqe(&ring_, &completion);
  } while (outcome == -EINTR);
  if (outcome < 0) return outcome;
  const int answer = completion->res;
  ::io_uring_cqe_seen(&ring_, completion);
  return answer;
}

Result<void> UblkControl::run_named(const char* what, std::uint32_t operation, const ublksrv_ctrl_cmd& command) {
  const int answer = run(operation, command);
  if (answer >= 0) return {};
  std::string text = "the kernel does not " + std::string(what) + " the ublk device";
  if (command.dev_id != ~0U) text += " " + std::to_string(command.dev_id);
  return Error{code_of(-answer), -answer, 0, std::move(text)};
}

Result<void> UblkControl::add(ublksrv_ctrl_dev_info& info) {
  return run_named("add", UBLK_CMD_ADD_DEV, command_with(info.dev_id, info));
}

Result<ublksrv_ctrl_dev_info> UblkControl::info(std::uint32_t number) {
  ublksrv_ctrl_dev_info result{};
  if (auto done = run_named("describe", UBLK_CMD_GET_DEV_INFO, command_with(number, result)); !done)
    return done.error();
  return result;
}

Result<void> UblkControl::set_params(std::uint32_t number, ublk_params& params) {
  params.len = sizeof params;
  return run_named("take the parameters of", UBLK_CMD_SET_PARAMS, command_with(number, params));
}

Result<ublk_params> UblkControl::params(std::uint32_t number) {
  ublk_params result{};
  result.len = sizeof result;
  if (auto done = run_named("tell the parameters of", UBLK_CMD_GET_PARAMS, command_with(number, result)); !done) {
    return done.error();
  }
  return result;
}

Result<void> UblkControl::start(std::uint32_t number) {
  return run_named("start", UBLK_CMD_START_DEV, command_of_us(number));
}

Result<void> UblkControl::stop(std::uint32_t number) {
  return run_named("stop", UBLK_CMD_STOP_DEV, command_for(number));
}

Result<void> UblkControl::remove(std::uint32_t number) {
  return run_named("remove", UBLK_CMD_DEL_DEV, command_for(number));
}

Result<void> UblkControl::begin_recovery(std::uint32_t number) {
  return run_named("hand over", UBLK_CMD_START_USER_RECOVERY, command_for(number));
}

Result<void> UblkControl::end_recovery(std::uint32_t number) {
  return run_named("resume", UBLK_CMD_END_USER_RECOVERY, command_of_us(number));
}

}  // namespace wc::tools
