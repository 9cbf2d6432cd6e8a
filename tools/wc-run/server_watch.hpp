// SPDX-License-Identifier: LGPL-2.1-or-later
// ServerWatch: looks after a running nbdkit: readiness, signals, the end.
#pragma once

#include <string>

#include "common/command.hpp"
#include "wc-run/nbdkit_process.hpp"

namespace wc::tools {

class ServerWatch {
 public:
  ServerWatch(Console& console, const ServerSettings& settings) : console_(console), settings_(settings) {}
  ~ServerWatch();
  ServerWatch(const ServerWatch&) = delete;
  ServerWatch& operator=(const ServerWatch&) = delete;

  /// Takes SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGCHLD for itself. Before nbdkit is started.
  Result<void> take_signals();
  /// Until nbdkit has ended. Returns the exit status.
  int run(NbdkitProcess& nbdkit);

 private:
  void take_reports(NbdkitProcess& nbdkit);
  void on_report(const std::string& line);
  void on_ready();
  void take_signal(NbdkitProcess& nbdkit);
  void begin_stop(NbdkitProcess& nbdkit);
  void print_status();
  int exit_status(int wait_status);

  Console& console_;
  const ServerSettings& settings_;
  int signal_fd_ = -1;
  bool is_ready_ = false;
  bool is_stopping_ = false;
  bool are_reports_over_ = false;
  bool has_failed_ = false;   ///< and it was told
  bool has_stopped_ = false;  ///< the cache is closed: committed, unless has_failed_
};

}  // namespace wc::tools
