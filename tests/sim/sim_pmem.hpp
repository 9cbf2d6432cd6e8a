// SPDX-License-Identifier: LGPL-2.1-or-later
// SimPmem: a PmemPort on simulated persistent memory behind a volatile processor cache, with faults and power cuts.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "sim/bytes.hpp"
#include "sim/random.hpp"
#include "sim/sim_power.hpp"
#include "writecache/port.hpp"

namespace wc::sim {

inline constexpr std::size_t kLineBytes = 64;  ///< of the processor's cache

/// One line that a power cut may leave in several versions. versions[0] is the durable one; all of them differ.
struct UnsettledLine {
  std::uint64_t line = 0;
  std::vector<std::array<std::byte, kLineBytes>> versions;
};

/// What was stored is durable after a flush of its line and a later fence, and may be durable at any time before,
/// line by line, in any version that a line has had. A store tears between words of 8 bytes, never inside one.
/// Power is cut at fences only: what a cut between two stores leaves is among what one at the next fence leaves.
class SimPmem final : public PmemPort {
 public:
  SimPmem(Bytes content, std::uint64_t seed, SimPower& power);

  std::span<const std::byte> view() const noexcept override { return current_; }
  void store(std::uint64_t offset_bytes, std::span<const std::byte> data) noexcept override;
  void flush(std::uint64_t offset_bytes, std::uint64_t length_bytes) noexcept override;
  Result<void> fence() override;

  /// The nth fence fails, from 0; or it and all later ones. Nothing becomes durable by it.
  void inject(std::uint64_t nth, bool persistent);
  void clear_faults();
  bool has_faulted() const noexcept { return has_faulted_; }
  /// The canary: asked at each fence whether it has no effect.
  void set_fence_filter(std::function<bool()> drops) { drops_ = std::move(drops); }

  const Bytes& content() const noexcept { return current_; }
  const Bytes& durable() const noexcept { return durable_; }
  Bytes take_durable() noexcept { return std::move(durable_); }
  bool is_settled() const noexcept { return lines_.empty(); }
  std::vector<UnsettledLine> unsettled() const;

 private:
  using LineBytes = std::array<std::byte, kLineBytes>;
  struct Line {
    std::vector<LineBytes> versions;  // the last one is what programs see
    std::size_t flushed = 0;          // as many of them
  };
  struct Fault {
    std::uint64_t nth;
    bool persistent;
  };
  void store_in_line(std::uint64_t offset_bytes, std::span<const std::byte> data);
  LineBytes line_at(const Bytes& bytes, std::uint64_t line) const;
  void settle();

  Bytes durable_;
  Bytes current_;
  std::map<std::uint64_t, Line> lines_;
  std::optional<Fault> fault_;
  std::uint64_t fences_ = 0;
  bool has_faulted_ = false;
  Random random_;
  SimPower& power_;
  std::function<bool()> drops_;
};

}  // namespace wc::sim
