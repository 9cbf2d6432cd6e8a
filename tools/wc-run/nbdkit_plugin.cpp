// SPDX-License-Identifier: LGPL-2.1-or-later
// nbdkit-writecache-plugin.so: NBD requests become requests of the engine, and nothing else.
#define NBDKIT_API_VERSION 2
#include <fcntl.h>
#include <nbdkit-plugin.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>

#include "common/text.hpp"
#include "wc-run/byte_device.hpp"
#include "wc-run/control_socket.hpp"
#include "wc-run/engine_errno.hpp"
#include "wc-run/engine_loop.hpp"
#include "wc-run/pending_file.hpp"
#include "wc-run/server_process.hpp"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

namespace wc::tools {
namespace {

constexpr std::uint32_t kMaximumBytes = 32U << 20;
constexpr std::uint32_t kPreferredBytesMin = 4096;

/// All that lives in one nbdkit. Never destroyed with the program: a parent that only forks must not close a cache.
struct Plugin {
  ServerSettings settings;
  std::unique_ptr<EngineLoop> loop;
  std::unique_ptr<ByteDevice> device;
  std::unique_ptr<ControlSocket> control;
  PendingFile* pending = nullptr;  ///< the engine's, or null
  bool is_started = false;         ///< the loop
  bool can_discard = false;
  std::uint64_t size_bytes = 0;
  std::uint32_t block_bytes = 0;
  std::atomic<bool> is_end_told = false;
};

Plugin& plugin() {
  static Plugin* const the_one = new Plugin;
  return *the_one;
}

/// One line to wc-run, if it has started us.
void report(const char* kind, const std::string& text) {
  if (plugin().settings.report_fd >= 0) send_report(plugin().settings.report_fd, kind, text);
}

/// The same, or to nbdkit's log where nobody started us but nbdkit.
void report_error(const char* kind, const Error& error) {
  const int fd = plugin().settings.report_fd;
  if (fd >= 0) {
    send_report(fd, kind, error);
  } else {
    nbdkit_error("%s", printable(error.message()).c_str());
  }
}

void report_end(const Result<void>& outcome) {
  if (plugin().is_end_told.exchange(true)) return;
  if (outcome) {
    report("stopped", "");
  } else {
    report_error("failed", outcome.error());
  }
}

/// Runs `body` and turns its outcome into nbdkit's; no exception leaves towards C.
template <class Body>
int guarded(const char* what, Body body) noexcept {
  try {
    const Result<void> outcome = body();
    if (outcome) return 0;
    nbdkit_error("%s: %s", what, printable(outcome.error().message()).c_str());
    nbdkit_set_error(errno_of(outcome.error()));
  } catch (const std::exception& problem) {
    nbdkit_error("%s: %s", what, problem.what());
    nbdkit_set_error(ENOMEM);
  }
  return -1;
}

int on_config(const char* key, const char* value) {
  return guarded("writecache", [&]() -> Result<void> {
    if (auto problem = plugin().settings.set(key, value)) {
      return Error{ErrorCode::invalid_argument, 0, 0, *problem};
    }
    return {};
  });
}

int on_config_complete() {
  return guarded("writecache", []() -> Result<void> {
    const ServerSettings& settings = plugin().settings;
    if (settings.cache.empty() || settings.origin.empty()) {
      return Error{ErrorCode::invalid_argument, 0, 0, "origin=ORIGIN and cache=CACHE are needed"};
    }
    if (settings.report_fd >= 0) ::fcntl(settings.report_fd, F_SETFD, FD_CLOEXEC);
    return {};
  });
}

void on_dump_plugin() { ::puts("writecache_types=s p"); }

/// The cache, and what a server that died under a wc-run had acknowledged and not committed.
Result<LiveCache> open_with_pending() {
  const ServerSettings& settings = plugin().settings;
  if (settings.pending.empty() || settings.read_only) return open_live_cache(settings);
  auto pending = settings.takes_over ? PendingFile::reopen(settings.pending) : PendingFile::create(settings.pending);
  if (!pending) return pending.error();
  plugin().pending = pending->get();
  return open_live_cache(settings, std::move(*pending));
}

/// nbdkit's memory is aligned to nothing. What a mapped cache does not have, the engine copies for the origin.
bool suits_any_memory(const LiveCache& live) {
  if (live.settings.type == CacheType::pmem) return true;
  const IoPort& port = live.devices->port();
  return port.info(DeviceId::cache).memory_alignment_bytes == 1 && port.info(DeviceId::origin).memory_alignment_bytes == 1;
}

/// Opens everything, so that what is wrong is said before nbdkit goes into the background.
int on_get_ready() {
  try {
    Plugin& self = plugin();
    ::signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files is an error of the write, as ENOSPC
    auto live = open_with_pending();
    if (!live) {
      report_error("error", live.error());
      return -1;
    }
    self.size_bytes = live->size_bytes;
    self.block_bytes = *live->settings.block_bytes;
    self.can_discard = live->devices->port().info(DeviceId::origin).can_discard;
    const bool takes_any_memory = suits_any_memory(*live);
    self.loop = std::make_unique<EngineLoop>(std::move(*live));
    self.device = std::make_unique<ByteDevice>(*self.loop, takes_any_memory);
    if (self.settings.control.empty()) return 0;
    self.control =
        std::make_unique<ControlSocket>(*self.loop, [](EngineLoop& loop, const ControlSocket::OnStopped& on_stopped) {
          loop.begin_stop([on_stopped](const Result<void>& outcome) {
            on_stopped(outcome);
            report_end(outcome);
            nbdkit_shutdown();
          });
        });
    const auto listening = self.control->listen(self.settings.control);
    if (listening) return 0;
    report_error("error", listening.error());
  } catch (const std::exception& problem) {
    report_error("error", {ErrorCode::unsupported, 0, 0, problem.what()});
  }
  return -1;
}

int on_after_fork() {
  const int outcome = guarded("writecache", []() -> Result<void> {
    Plugin& self = plugin();
    // nbdkit would rather be told to end, and then wait for its clients, when wc-run is killed.
    if (self.settings.report_fd >= 0) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (auto started = self.loop->start(); !started) return started;
    self.is_started = true;
    return self.control ? self.control->start() : Result<void>();
  });
  if (outcome == 0) report("ready", plugin().settings.uri);
  return outcome;
}

/// All connections are gone: commit.
void on_cleanup() {
  Plugin& self = plugin();
  if (!self.loop) return;
  const Result<void> outcome = self.is_started ? self.loop->stop() : self.loop->close();
  report_end(outcome);
  if (self.pending != nullptr) self.pending->remove();
  self.control.reset();
  self.device.reset();
  self.loop.reset();
}

void* on_open(int /*readonly*/) { return NBDKIT_HANDLE_NOT_NEEDED; }
std::int64_t on_get_size(void* /*handle*/) { return static_cast<std::int64_t>(plugin().size_bytes); }
int on_can_write(void* /*handle*/) { return plugin().settings.read_only ? 0 : 1; }
int on_can_trim(void* handle) { return on_can_write(handle) != 0 && plugin().can_discard ? 1 : 0; }
int say_yes(void* /*handle*/) { return 1; }
int say_no(void* /*handle*/) { return 0; }
int on_can_fua(void* /*handle*/) { return NBDKIT_FUA_NATIVE; }

int on_block_size(void* /*handle*/, std::uint32_t* minimum, std::uint32_t* preferred, std::uint32_t* maximum) {
  *minimum = kSectorBytes;
  *preferred = std::max(plugin().block_bytes, kPreferredBytesMin);
  *maximum = kMaximumBytes;
  return 0;
}

int on_pread(void* /*handle*/, void* buffer, std::uint32_t count, std::uint64_t offset, std::uint32_t /*flags*/) {
  return guarded("read",
                 [&] { return plugin().device->read(offset, std::span(static_cast<std::byte*>(buffer), count)); });
}

int on_pwrite(void* /*handle*/, const void* buffer, std::uint32_t count, std::uint64_t offset, std::uint32_t flags) {
  return guarded("write", [&] {
    const std::span data(static_cast<const std::byte*>(buffer), count);
    return plugin().device->write(offset, data, (flags & NBDKIT_FLAG_FUA) != 0);
  });
}

int on_flush(void* /*handle*/, std::uint32_t /*flags*/) {
  return guarded("flush", [] { return plugin().device->flush(); });
}

int on_trim(void* /*handle*/, std::uint32_t count, std::uint64_t offset, std::uint32_t flags) {
  return guarded("discard", [&] { return plugin().device->discard(offset, count, (flags & NBDKIT_FLAG_FUA) != 0); });
}

nbdkit_plugin make_plugin() {
  nbdkit_plugin result{};
  result.name = "writecache";
  result.longname = "dm-writecache cache";
  result.version = WC_TOOLS_VERSION;
  result.description = "Serves an origin behind a dm-writecache cache, without the kernel driver";
  result.config_help =
      "origin=ORIGIN          (required) Device behind the cache.\n"
      "cache=CACHE            (required) Cache device, image or DAX file.\n"
      "control=PATH           Unix socket for wc-run ctl.\n"
      "type=s|p, block_size=N, high_watermark=PERCENT, ...: as in the table line.";
  result.config = on_config;
  result.config_complete = on_config_complete;
  result.dump_plugin = on_dump_plugin;
  result.get_ready = on_get_ready;
  result.after_fork = on_after_fork;
  result.cleanup = on_cleanup;
  result.open = on_open;
  result.get_size = on_get_size;
  result.block_size = on_block_size;
  result.can_write = on_can_write;
  result.can_flush = say_yes;
  result.can_trim = on_can_trim;
  result.can_fua = on_can_fua;
  result.can_multi_conn = say_yes;
  result.is_rotational = say_no;
  result.pread = on_pread;
  result.pwrite = on_pwrite;
  result.flush = on_flush;
  result.trim = on_trim;
  return result;
}

nbdkit_plugin g_plugin = make_plugin();

}  // namespace
}  // namespace wc::tools

NBDKIT_REGISTER_PLUGIN(wc::tools::g_plugin)
