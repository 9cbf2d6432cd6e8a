// SPDX-License-Identifier: LGPL-2.1-or-later
// The text of an Error.
#include "writecache/result.hpp"

#include <cstring>

namespace wc {

std::string Error::message() const {
  if (os_errno == 0) return context;
  // strerrordesc_np is safe beside other threads, unlike strerror.
  const char* words = ::strerrordesc_np(os_errno);
  return context + ": " + (words != nullptr ? words : "unknown error " + std::to_string(os_errno));
}

}  // namespace wc
