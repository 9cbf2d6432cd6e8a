// SPDX-License-Identifier: LGPL-2.1-or-later
// SimPower: the mains of a simulated machine, and the places at which they can be cut.
#pragma once

#include <cstdint>
#include <limits>

namespace wc::sim {

/// Everything volatile of one machine hangs on one SimPower. Its parts tell it when what a power cut
/// would leave has changed (`note_change`) and when time passes (`tick`). A tick after a change is a
/// cut point; cut points count from 0. Ticks without a change need no test: the images are the same.
class SimPower {
 public:
  bool is_on() const noexcept { return is_on_; }

  /// Power fails at the cut point with this number.
  void cut_at(std::uint64_t point) noexcept { cut_point_ = point; }

  /// Cut points passed so far.
  std::uint64_t points() const noexcept { return points_; }

  void note_change() noexcept { has_changed_ = true; }

  void tick() noexcept {
    if (!is_on_ || !has_changed_) return;
    has_changed_ = false;
    if (points_ == cut_point_) {
      is_on_ = false;
    } else {
      ++points_;
    }
  }

 private:
  bool is_on_ = true;
  bool has_changed_ = true;  // The state before the first write is worth a cut too.
  std::uint64_t points_ = 0;
  std::uint64_t cut_point_ = std::numeric_limits<std::uint64_t>::max();
};

}  // namespace wc::sim
