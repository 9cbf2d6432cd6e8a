// SPDX-License-Identifier: LGPL-2.1-or-later
// wc-run: names, sockets and locks, then the server until it ends.
#include "wc-run/command.hpp"

#include <unistd.h>

#include <string_view>

#include "common/command.hpp"
#include "wc-run/nbd_server.hpp"
#include "wc-run/options.hpp"
#include "wc-run/pending_file.hpp"
#include "wc-run/server_process.hpp"
#include "wc-run/server_watch.hpp"
#include "wc-run/unix_socket.hpp"

namespace wc::tools {
namespace {

/// The lock of the name, held as long as we live.
class NameLock {
 public:
  NameLock() = default;
  ~NameLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  NameLock(const NameLock&) = delete;
  NameLock& operator=(const NameLock&) = delete;

  Result<void> take(const std::string& name) {
    if (auto made = make_runtime_directory(); !made) return made;
    auto fd = lock_name(name);
    if (!fd) return fd.error();
    fd_ = *fd;
    return {};
  }

 private:
  int fd_ = -1;
};

int run_server(Console& console, RunOptions& options) {
  complete_run_options(options);
  ServerSettings& settings = options.settings;
  const std::string base = runtime_directory() + "/" + settings.name;
  settings.control = base + ".ctl";
  settings.pending = base + ".pending";
  const NbdAddress nbd = options.nbd.value_or(NbdAddress{base + ".nbd", {}, {}});
  settings.uri = options.ublk ? "" : nbd.uri();
  const std::string nbd_path = options.ublk ? "" : nbd.path;

  NameLock lock;
  if (auto taken = lock.take(settings.name); !taken) return console.fail({}, taken.error());
  if (!nbd_path.empty()) {
    if (auto removed = remove_stale_socket(nbd_path); !removed) return console.fail({}, removed.error());
  }
  ServerWatch watch(console, settings);
  if (auto taken = watch.take_signals(); !taken) return console.fail({}, taken.error());
  const int status = watch.run([&](ServerProcess& server, bool takes_over) {
    settings.takes_over = takes_over;
    if (!nbd_path.empty()) static_cast<void>(remove_stale_socket(nbd_path));
    return server.start([&](int report_fd) {
      settings.report_fd = report_fd;
      return options.ublk ? serve_ublk(settings, *options.ublk) : serve_nbd(settings, nbd, options.nbdkit_options);
    });
  });
  PendingFile::remove(settings.pending);
  if (!nbd_path.empty()) static_cast<void>(remove_stale_socket(nbd_path));
  static_cast<void>(remove_stale_socket(settings.control));
  return status;
}

}  // namespace

int wc_run_main(Arguments arguments, Environment& environment) {
  if (!arguments.empty() && std::string_view(arguments.front()) == "ctl") {
    return ctl_main(arguments.subspan(1), environment);
  }
  RunOptions options;
  CommandLine line(
      "wc-run",
      "Serves an origin behind a dm-writecache cache over NBD or as a block device, without the kernel driver.",
      options.common);
  add_run_options(line, options);
  return run_command(line, arguments, environment, [&](Console& console) { return run_server(console, options); });
}

}  // namespace wc::tools
