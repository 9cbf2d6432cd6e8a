// SPDX-License-Identifier: LGPL-2.1-or-later
// Unix sockets by path: listening, asking, the runtime directory, and one lock for each name.
#pragma once

#include <functional>
#include <string>

#include "writecache/result.hpp"

namespace wc::tools {

/// A listening socket of mode 0600; one that nobody serves any more is replaced. The caller closes and unlinks it.
/// Errors: busy (somebody serves it), invalid_argument (the path is too long), io.
Result<int> listen_unix(const std::string& path);

/// Removes a socket that nobody serves. Errors: busy, invalid_argument.
Result<void> remove_stale_socket(const std::string& path);

/// Sends one line to a control socket and returns the whole reply. Waits for it without end, since a flush takes
/// what it takes, unless `seconds` is given or a signal comes and `is_cancelled` says so.
/// Errors: not_found (nobody serves it), cancelled, io.
Result<std::string> ask_unix(const std::string& path, const std::string& line, int seconds = 0,
                             const std::function<bool()>& is_cancelled = {});

/// Sends one line and does not wait for the reply. False if nobody is there.
bool request_unix(const std::string& path, const std::string& line);

/// $XDG_RUNTIME_DIR/writecache, else /run/writecache. Not made.
std::string runtime_directory();
/// Makes it, for this user only. Errors: io, permission.
Result<void> make_runtime_directory();

/// A file NAME.lock in the runtime directory, held until the process ends. Errors: busy, io, permission.
Result<int> lock_name(const std::string& name);

}  // namespace wc::tools
