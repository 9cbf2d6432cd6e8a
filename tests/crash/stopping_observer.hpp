// SPDX-License-Identifier: LGPL-2.1-or-later
// StoppingObserver: a user who loses patience.
#pragma once

#include <cstdint>

#include "writecache/observer.hpp"

namespace wc::crash {

/// Says "stop" from the call number `patience` on, counted from 0.
class StoppingObserver final : public Observer {
 public:
  explicit StoppingObserver(std::uint64_t patience) : patience_(patience) {}
  bool is_cancelled() const noexcept override {
    if (patience_ == 0) return true;
    --patience_;
    return false;
  }

 private:
  mutable std::uint64_t patience_;
};

}  // namespace wc::crash
