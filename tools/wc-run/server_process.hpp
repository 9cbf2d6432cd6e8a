// SPDX-License-Identifier: LGPL-2.1-or-later
// ServerProcess: the server as a child that never outlives us, and what it tells of itself.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "writecache/result.hpp"

namespace wc::tools {

/// The child serves; we look after it. So clients, a crash of the server and the orderly end are the same for every
/// kind of server, and the control socket and the exit status too.
class ServerProcess {
 public:
  ServerProcess() = default;
  ~ServerProcess();  ///< kills it, if it still runs
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  /// Runs `serve` in the child, which ends with its exit status. `report_fd` is for send_report and is closed on exec.
  /// Only while there is one thread. Errors: io.
  Result<void> start(const std::function<int(int report_fd)>& serve);

  int report_fd() const noexcept { return report_fd_; }
  /// The next whole line of the server, if one is there; `is_over` when there will be none.
  std::optional<std::string> next_report(bool& is_over);
  /// The wait status once the child has ended.
  std::optional<int> poll_exit();
  void send_signal(int signal) const;

 private:
  pid_t child_ = -1;
  int report_fd_ = -1;
  std::string reports_;
};

/// "ready URI", and at the end "stopped".
void send_report(int report_fd, const std::string& kind, const std::string& text);
/// "error CODE WHY" before it is ready, "failed CODE WHY" at the end; CODE as in error_words.hpp.
void send_report(int report_fd, const std::string& kind, const Error& error);
/// What stands behind "error " and "failed ".
Error reported_error(const std::string& text);

}  // namespace wc::tools
