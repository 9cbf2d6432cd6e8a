// SPDX-License-Identifier: LGPL-2.1-or-later
// NbdkitProcess: nbdkit with the plugin as a child that never outlives us, and what the plugin tells of itself.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "wc-run/nbd_address.hpp"
#include "wc-run/server_settings.hpp"

namespace wc::tools {

class NbdkitProcess {
 public:
  NbdkitProcess() = default;
  ~NbdkitProcess();  ///< kills it, if it still runs
  NbdkitProcess(const NbdkitProcess&) = delete;
  NbdkitProcess& operator=(const NbdkitProcess&) = delete;

  /// Errors: not_found (no nbdkit), io.
  Result<void> start(ServerSettings settings, const NbdAddress& address, const std::vector<std::string>& extra_words);

  int report_fd() const noexcept { return report_fd_; }
  /// The next whole line of the plugin, if one is there; `is_over` when there will be none.
  std::optional<std::string> next_report(bool& is_over);
  /// The wait status once the child has ended.
  std::optional<int> poll_exit();
  void send_signal(int signal) const;

 private:
  pid_t child_ = -1;
  int report_fd_ = -1;
  std::string reports_;
};

}  // namespace wc::tools
