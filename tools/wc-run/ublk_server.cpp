// SPDX-License-Identifier: LGPL-2.1-or-later
// serve_ublk: makes or takes over the device, starts its queues, and ends in the order that loses nothing.
#include "wc-run/ublk_server.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>

#include "wc-run/control_socket.hpp"
#include "wc-run/pending_file.hpp"
#include "wc-run/server_process.hpp"
#include "wc-run/ublk_control.hpp"
#include "wc-run/ublk_queue.hpp"
#include "wc-run/unix_socket.hpp"

namespace wc::tools {
namespace {

constexpr std::uint32_t kRequestBytesMax = 512U << 10;
constexpr std::uint32_t kAnyNumber = ~0U;
constexpr std::uint32_t kPageBytes = 4096;  // the largest logical block of a block device
constexpr int kRecoveryTries = 200;
constexpr useconds_t kRecoveryPauseUs = 50'000;

/// Tells a device of ours again after a crash: the cache's own identity, as long as the machine is up.
std::uint64_t identity_of(const ServerSettings& settings) {
  struct stat status {};
  static_cast<void>(::stat(settings.cache.c_str(), &status));
  const bool is_device = S_ISBLK(status.st_mode) || S_ISCHR(status.st_mode);
  std::uint64_t identity = 0xcbf29ce484222325;  // FNV-1a over the numbers
  for (const std::uint64_t part :
       {std::uint64_t{is_device ? status.st_rdev : status.st_dev}, std::uint64_t{is_device ? 0 : status.st_ino},
        std::uint64_t{settings.start_sector}}) {
    for (unsigned shift = 0; shift < 64; shift += 8)
      identity = (identity ^ ((part >> shift) & 0xff)) * 0x100000001b3;
  }
  return identity;
}

std::vector<std::uint32_t> present_numbers() {
  std::vector<std::uint32_t> numbers;
  DIR* const folder = ::opendir("/dev");
  if (folder == nullptr) return numbers;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    if (name.starts_with("ublkc"))
      numbers.push_back(static_cast<std::uint32_t>(std::strtoul(name.c_str() + 5, nullptr, 10)));
  }
  ::closedir(folder);
  return numbers;
}

unsigned shift_of(std::uint64_t bytes) { return static_cast<unsigned>(std::countr_zero(bytes)); }

/// What the device says of itself: as the driver's would, with the cache's block as its logical block.
ublk_params params_of(const LiveCache& live, std::uint32_t request_bytes) {
  const std::uint32_t block_bytes = *live.settings.block_bytes;
  const std::uint32_t logical_bytes = std::min(block_bytes, kPageBytes);
  ublk_params params{};
  params.types = UBLK_PARAM_TYPE_BASIC;
  ublk_param_basic& basic = params.basic;
  basic.attrs = live.settings.read_only ? UBLK_ATTR_READ_ONLY : UBLK_ATTR_VOLATILE_CACHE | UBLK_ATTR_FUA;
  basic.logical_bs_shift = static_cast<std::uint8_t>(shift_of(logical_bytes));
  basic.physical_bs_shift = basic.logical_bs_shift;
  basic.io_opt_shift = static_cast<std::uint8_t>(shift_of(block_bytes));
  basic.io_min_shift = basic.io_opt_shift;
  basic.max_sectors = request_bytes / kSectorBytes;
  basic.dev_sectors = round_down(live.size_bytes, logical_bytes) / kSectorBytes;
  if (!live.settings.read_only && live.devices->port().info(DeviceId::origin).can_discard) {
    params.types |= UBLK_PARAM_TYPE_DISCARD;
    params.discard.discard_granularity = block_bytes;
    params.discard.max_discard_sectors =
        std::numeric_limits<std::uint32_t>::max() / block_bytes * block_bytes / kSectorBytes;
    params.discard.max_discard_segments = 1;
  }
  return params;
}

/// Who asked to stop, and the wait for it.
class StopRequest {
 public:
  StopRequest() : fd_(::eventfd(0, EFD_CLOEXEC)) {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP})
      ::sigaddset(&signals, signal);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    signal_fd_ = ::signalfd(-1, &signals, SFD_CLOEXEC);
  }
  ~StopRequest() {
    ::close(fd_);
    ::close(signal_fd_);
  }
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  void ask(ControlSocket::OnStopped answer) {
    const std::scoped_lock lock(mutex_);
    answers_.push_back(std::move(answer));
    const std::uint64_t one = 1;
    static_cast<void>(::write(fd_, &one, sizeof one) < 0);
  }
  void wait() const {
    std::array<pollfd, 2> fds{{{fd_, POLLIN, 0}, {signal_fd_, POLLIN, 0}}};
    while (::poll(fds.data(), fds.size(), -1) < 0 && errno == EINTR) {
    }
  }
  void answer(const Result<void>& outcome) {
    const std::scoped_lock lock(mutex_);
    for (const auto& tell : answers_)
      tell(outcome);
    answers_.clear();
  }

 private:
  int fd_;
  int signal_fd_ = -1;
  std::mutex mutex_;
  std::vector<ControlSocket::OnStopped> answers_;  ///< guarded by mutex_
};

class UblkServer {
 public:
  UblkServer(const ServerSettings& settings, const UblkOptions& options) : settings_(settings), options_(options) {}

  /// Up to the moment when the block device is there.
  Result<void> start();
  void wait() const { stop_.wait(); }
  /// The block device ends first, so that the kernel's last writes are still served; then everything is committed.
  Result<void> stop();
  std::string path() const { return "/dev/ublkb" + std::to_string(info_.dev_id); }

 private:
  Result<void> find_left_behind();
  Result<std::unique_ptr<PendingLog>> open_pending();
  Result<void> listen();
  Result<void> take_over(const ublk_params& params);
  Result<void> make(ublk_params params);
  Result<void> start_queues();

  ServerSettings settings_;
  UblkOptions options_;
  StopRequest stop_;
  std::unique_ptr<UblkControl> kernel_;
  std::unique_ptr<EngineLoop> loop_;
  std::vector<std::unique_ptr<UblkQueue>> queues_;
  std::unique_ptr<ControlSocket> control_;
  ublksrv_ctrl_dev_info info_{};  ///< of our device; no ublksrv_flags: there is none
  bool is_left_behind_ = false;
  PendingFile* pending_ = nullptr;  ///< the engine's, or null
};

Result<void> UblkServer::start() {
  // Memory must never have to be freed by a write through our own device.
  ::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
  ::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
  auto kernel = UblkControl::open();
  if (!kernel) return kernel.error();
  kernel_ = std::move(*kernel);
  auto cache_path = resolve_tag(settings_.cache);
  if (!cache_path) return cache_path.error();
  settings_.cache = *cache_path;
  if (auto found = find_left_behind(); !found) return found;
  auto pending = open_pending();
  if (!pending) return pending.error();
  auto live = open_live_cache(settings_, std::move(*pending));
  if (!live) return live.error();
  settings_ = live->settings;
  const ublk_params params = params_of(*live, kRequestBytesMax);
  loop_ = std::make_unique<EngineLoop>(std::move(*live));
  auto started = loop_->prepare();
  if (started) started = is_left_behind_ ? take_over(params) : make(params);
  if (started) started = listen();
  if (!started) static_cast<void>(stop());
  return started;
}

Result<void> UblkServer::listen() {
  control_ = std::make_unique<ControlSocket>(
      *loop_, [this](EngineLoop&, ControlSocket::OnStopped answer) { stop_.ask(std::move(answer)); });
  auto listening = control_->listen(settings_.control);
  return listening ? control_->start() : listening;
}

/// Writes that were acknowledged before a crash and not committed are brought back together with the device they were
/// made to. Where that cannot be, the device must not go on as if nothing had happened.
Result<std::unique_ptr<PendingLog>> UblkServer::open_pending() {
  if (settings_.read_only) return std::unique_ptr<PendingLog>();
  const std::string path = runtime_directory() + fmt::format("/pending.{:016x}", identity_of(settings_));
  if (is_left_behind_) {
    auto left = PendingFile::reopen(path);
    if (left) {
      pending_ = left->get();
      return std::unique_ptr<PendingLog>(std::move(*left));
    }
    fmt::print(stderr,
               "wc-run: {}: its last server was killed, and what it had not committed is lost ({}): it ends now, "
               "with I/O errors for whoever uses it\n",
               this->path(), left.error().message());
    static_cast<void>(kernel_->stop(info_.dev_id));
    if (auto removed = kernel_->remove(info_.dev_id); !removed) return removed.error();
    info_ = {};
    is_left_behind_ = false;
  }
  auto made = PendingFile::create(path);
  if (!made) return made.error();
  pending_ = made->get();
  return std::unique_ptr<PendingLog>(std::move(*made));
}

/// A device of this cache whose server was killed. Fills info_ and is_left_behind_.
Result<void> UblkServer::find_left_behind() {
  const std::uint64_t identity = identity_of(settings_);
  for (const std::uint32_t number : present_numbers()) {
    if (options_.number && *options_.number != number) continue;
    const auto found = kernel_->info(number);
    if (found && found->ublksrv_flags == identity) {
      info_ = *found;
      is_left_behind_ = true;
      return {};
    }
    if (found && options_.number) {
      return Error{ErrorCode::busy, 0, 0,
                   "/dev/ublkb" + std::to_string(number) + " is served by another program (process " +
                       std::to_string(found->ublksrv_pid) + "; choose another number with --ublk=N)"};
    }
  }
  return {};
}

Result<void> UblkServer::take_over(const ublk_params& params) {
  const auto was = kernel_->params(info_.dev_id);
  if (!was) return was.error();
  const bool is_same = was->basic.dev_sectors == params.basic.dev_sectors && was->basic.attrs == params.basic.attrs &&
                       was->basic.logical_bs_shift == params.basic.logical_bs_shift;
  if (!is_same) {
    info_.ublksrv_flags = 0;  // it stays as it is
    return Error{
        ErrorCode::busy, 0, 0,
        path() + " was left behind by a wc-run with other settings (start it as it was started then, and stop it)"};
  }
  Result<void> begun;
  for (int tries = 0; tries < kRecoveryTries; ++tries) {
    begun = kernel_->begin_recovery(info_.dev_id);
    if (begun || begun.error().code != ErrorCode::busy) break;
    ::usleep(kRecoveryPauseUs);  // the kernel has yet to notice that the old server is gone
  }
  if (!begun) {
    info_.ublksrv_flags = 0;
    return begun;
  }
  if (auto started = start_queues(); !started) return started;
  return kernel_->end_recovery(info_.dev_id);
}

Result<void> UblkServer::make(ublk_params params) {
  ublksrv_ctrl_dev_info wanted{};
  wanted.nr_hw_queues = options_.queues;
  wanted.queue_depth = options_.depth;
  wanted.max_io_buf_bytes = kRequestBytesMax;
  wanted.dev_id = options_.number.value_or(kAnyNumber);
  wanted.ublksrv_pid = ::getpid();
  // Writes may be issued twice after a crash of ours: they then write the same again.
  wanted.flags = UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE;
  wanted.ublksrv_flags = identity_of(settings_);
  if (auto added = kernel_->add(wanted); !added) return added;
  info_ = wanted;
  if (auto taken = kernel_->set_params(info_.dev_id, params); !taken) return taken;
  if (auto started = start_queues(); !started) return started;
  return kernel_->start(info_.dev_id);
}

Result<void> UblkServer::start_queues() {
  for (std::uint16_t number = 0; number < info_.nr_hw_queues; ++number) {
    UblkQueueSetup setup;
    setup.device = info_.dev_id;
    setup.queue = number;
    setup.depth = info_.queue_depth;
    setup.request_bytes = info_.max_io_buf_bytes;
    setup.is_legacy = kernel_->is_legacy();
    setup.is_driver = number == 0;
    // Somebody else may remove the device.
    queues_.push_back(std::make_unique<UblkQueue>(*loop_, setup, [this] { stop_.ask([](const Result<void>&) {}); }));
    if (auto started = queues_.back()->start(); !started) return started;
  }
  return {};
}

Result<void> UblkServer::stop() {
  Result<void> outcome;
  if (info_.ublksrv_flags != 0) outcome = kernel_->stop(info_.dev_id);
  if (loop_) {
    const bool has_driver = !queues_.empty() && queues_.front()->is_running();
    auto stopped = has_driver ? loop_->stop() : loop_->close();
    if (outcome) outcome = std::move(stopped);
  }
  queues_.clear();
  const bool waits_for_another = is_left_behind_ && info_.ublksrv_flags == 0;
  if (info_.ublksrv_flags != 0) static_cast<void>(kernel_->remove(info_.dev_id));
  info_.ublksrv_flags = 0;
  if (pending_ != nullptr && !waits_for_another) pending_->remove();
  pending_ = nullptr;
  stop_.answer(outcome);
  control_.reset();
  loop_.reset();
  return outcome;
}

}  // namespace

int serve_ublk(const ServerSettings& settings, const UblkOptions& options) {
  bool is_ready = false;
  try {
    UblkServer server(settings, options);
    if (auto started = server.start(); !started) {
      send_report(settings.report_fd, "error", started.error());
      return EXIT_FAILURE;
    }
    is_ready = true;
    send_report(settings.report_fd, "ready", server.path());
    server.wait();
    const Result<void> outcome = server.stop();
    if (outcome) {
      send_report(settings.report_fd, "stopped", "");
    } else {
      send_report(settings.report_fd, "failed", outcome.error());
    }
    return outcome ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const std::exception& problem) {
    send_report(settings.report_fd, is_ready ? "failed" : "error", Error{ErrorCode::unsupported, 0, 0, problem.what()});
    return EXIT_FAILURE;
  }
}

}  // namespace wc::tools
