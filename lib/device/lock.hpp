// SPDX-License-Identifier: LGPL-2.1-or-later
// The advisory lock that the project's commands take on images, device-DAX nodes and undo files.
#pragma once

#include "device/holders.hpp"
#include "writecache/result.hpp"

namespace wc {

enum class LockMode : std::uint8_t { shared, exclusive };

/// Locks the open file until it is closed. Does not wait.
/// Errors: busy (the context names the holder where the system tells), unsupported where the file
/// system has no locks and the lock was to be exclusive. The context begins with `path`.
Result<void> lock_file(const SystemRoots& roots, int fd, const std::string& path, LockMode mode);

}  // namespace wc
