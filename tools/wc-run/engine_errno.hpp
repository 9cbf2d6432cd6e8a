// SPDX-License-Identifier: LGPL-2.1-or-later
// The errno with which a client hears of an engine's error.
#pragma once

#include <cerrno>

#include "writecache/result.hpp"

namespace wc::tools {

inline int errno_of(const Error& error) noexcept {
  switch (error.code) {
    case ErrorCode::invalid_argument:
      return EINVAL;
    case ErrorCode::permission:
      return EPERM;
    case ErrorCode::no_space:
      return ENOSPC;
    case ErrorCode::cancelled:
      return ESHUTDOWN;
    case ErrorCode::unsupported:
      return EOPNOTSUPP;
    default:
      return EIO;
  }
}

}  // namespace wc::tools
