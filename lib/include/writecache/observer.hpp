// SPDX-License-Identifier: LGPL-2.1-or-later
// Observer: how a long operation shows its progress and learns that it should stop.
#pragma once

#include <cstdint>
#include <string_view>

#include "writecache/api.hpp"

namespace wc {

/// A moment of a long operation.
struct Progress {
  std::string_view phase;        ///< "scan", "repair", "drain", "format", ...
  std::uint64_t done_bytes = 0;  ///< of this phase
  std::uint64_t total_bytes = 0; ///< of this phase, as far as known; never below done_bytes
};

/// Called between I/Os, often; must be quick. The default shows nothing and never stops.
class WC_API Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_progress(const Progress&) {}
  /// True makes the operation finish what it must, leave the media consistent and return `cancelled`
  /// (or a report that says so).
  virtual bool is_cancelled() const noexcept { return false; }
};

}  // namespace wc
