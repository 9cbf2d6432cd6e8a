// SPDX-License-Identifier: LGPL-2.1-or-later
// ServerWatch: looks after a running server: readiness, signals, the end.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "common/command.hpp"
#include "wc-run/server_process.hpp"
#include "wc-run/server_settings.hpp"

namespace wc::tools {

class ServerWatch {
 public:
  ServerWatch(Console& console, const ServerSettings& settings) : console_(console), settings_(settings) {}
  ~ServerWatch();
  ServerWatch(const ServerWatch&) = delete;
  ServerWatch& operator=(const ServerWatch&) = delete;

  /// Takes SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGCHLD for itself. Before the server is started.
  Result<void> take_signals();
  using Start = std::function<Result<void>(ServerProcess& server, bool takes_over)>;
  /// Starts a server and looks after it until it has ended. One that dies is replaced by another, which takes over what
  /// had been acknowledged. Returns the exit status.
  int run(const Start& start);

 private:
  void take_reports(ServerProcess& server);
  void on_report(const std::string& line);
  void on_ready(const std::string& uri);
  void take_signal(ServerProcess& server);
  void begin_stop(ServerProcess& server);
  void print_status();
  bool may_restart(int wait_status);
  int exit_status(int wait_status);

  Console& console_;
  const ServerSettings& settings_;
  int signal_fd_ = -1;
  std::deque<std::uint64_t> restarts_ns_;  ///< when the last ones were
  bool is_ready_ = false;
  bool is_stopping_ = false;
  bool are_reports_over_ = false;
  bool has_failed_ = false;   ///< and it was told
  bool has_stopped_ = false;  ///< the cache is closed: committed, unless has_failed_
};

}  // namespace wc::tools
