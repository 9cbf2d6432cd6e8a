// SPDX-License-Identifier: LGPL-2.1-or-later
// NbdAddress: from text and to a URI.
#include "wc-run/nbd_address.hpp"

#include <fmt/format.h>

#include "common/numbers.hpp"

namespace wc::tools {
namespace {

constexpr std::uint64_t kPortMax = 65535;
constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kTcp = "tcp:";
constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";

std::string percent_encoded(std::string_view text) {
  std::string result;
  for (const char character : text) {
    if (kPlain.find(character) != std::string_view::npos) {
      result += character;
    } else {
      result += fmt::format("%{:02X}", static_cast<unsigned char>(character));
    }
  }
  return result;
}

}  // namespace

std::string NbdAddress::uri() const {
  if (!path.empty()) return "nbd+unix:///?socket=" + percent_encoded(path);
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return "nbd://" + (is_ipv6 ? "[" + host + "]" : host) + ":" + port;
}

std::optional<NbdAddress> parse_nbd_address(std::string_view text) {
  NbdAddress address;
  if (text.starts_with(kUnix)) {
    address.path = text.substr(kUnix.size());
    return address.path.empty() ? std::nullopt : std::optional(address);
  }
  if (!text.starts_with(kTcp)) return std::nullopt;
  text.remove_prefix(kTcp.size());
  const std::size_t colon = text.rfind(':');
  std::string_view host = colon == std::string_view::npos ? std::string_view{} : text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string_view port = colon == std::string_view::npos ? text : text.substr(colon + 1);
  const auto number = parse_count(port);
  if (!number || *number == 0 || *number > kPortMax) return std::nullopt;
  address.host = host.empty() ? "127.0.0.1" : std::string(host);
  address.port = port;
  return address;
}

}  // namespace wc::tools
