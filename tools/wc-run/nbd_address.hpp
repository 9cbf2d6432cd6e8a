// SPDX-License-Identifier: LGPL-2.1-or-later
// Where NBD clients connect.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace wc::tools {

struct NbdAddress {
  std::string path;  ///< of a unix socket; else host and port
  std::string host;
  std::string port;

  std::string uri() const;
};

/// "unix:PATH", "tcp:HOST:PORT", "tcp:[HOST]:PORT" or "tcp:PORT" on the loopback address.
std::optional<NbdAddress> parse_nbd_address(std::string_view text);

}  // namespace wc::tools
