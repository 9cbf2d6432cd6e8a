// SPDX-License-Identifier: LGPL-2.1-or-later
// Life: one cache over simulated hours: engines under load that are closed, cut off or failed by their devices, and
// started again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/machine.hpp"
#include "sim/random.hpp"
#include "writecache/engine.hpp"

namespace wc::life {

struct LifeOptions {
  std::uint64_t seed = 1;
  std::uint64_t simulated_ms = 3'600'000;
  bool drops_flushes = false;  ///< the canary: durable points have no effect
};

struct LifeNumbers {
  std::uint64_t chapters = 0;  ///< from one start of the engine to its end
  std::uint64_t requests = 0;
  std::uint64_t simulated_ms = 0;
  std::uint64_t closed = 0;
  std::uint64_t cut = 0;
  std::uint64_t failed = 0;  ///< a fault came true
  std::uint64_t drained = 0;

  LifeNumbers& operator+=(const LifeNumbers& other);
};

/// Everything follows from the seed.
class Life {
 public:
  explicit Life(const LifeOptions& options);

  /// Empty if all is well; else in which chapter what was wrong.
  std::string run();
  const LifeNumbers& numbers() const noexcept { return numbers_; }

 private:
  enum class End : std::uint8_t { close, cut, fault };

  std::string run_chapter();
  std::string check_image(const sim::MachineImage& image) const;
  std::string drain_offline();
  EngineOptions choose_options();
  void inject_fault(sim::Machine& machine);

  LifeOptions options_;
  sim::Random random_;
  std::uint32_t block_bytes_ = 0;
  std::uint32_t logical_block_bytes_ = 512;
  sim::MachineImage image_;
  LifeNumbers numbers_;
};

}  // namespace wc::life
