// SPDX-License-Identifier: LGPL-2.1-or-later
// The version string; the build passes the number in, so that it is written in one place only.
#include "writecache/version.hpp"

namespace wc {

std::string_view version() noexcept { return WC_VERSION; }

}  // namespace wc
