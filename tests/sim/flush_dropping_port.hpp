// SPDX-License-Identifier: LGPL-2.1-or-later
// FlushDroppingPort: the canary. It confirms flushes that it never passes on; a sweep over it must fail.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "writecache/port.hpp"

namespace wc::sim {

/// Passes everything on but some durability: a dropped flush succeeds without effect, a dropped fua
/// leaves an ordinary write.
class FlushDroppingPort final : public IoPort {
 public:
  /// Asked for each flush and each write with fua, numbered from 0 in the order of submission.
  using Choice = std::function<bool(DeviceId device, std::uint64_t number)>;

  explicit FlushDroppingPort(
      IoPort& inner, Choice drops = [](DeviceId, std::uint64_t) { return true; })
      : inner_(inner), drops_(std::move(drops)) {}

  DeviceInfo info(DeviceId device) const noexcept override { return inner_.info(device); }
  void submit(IoOp& op) noexcept override;
  std::size_t poll(Wait wait) override;

  /// Counts one more flush or write with fua; true if it is to be dropped.
  bool drops(DeviceId device) {
    const bool is_dropped = drops_(device, number_++);
    dropped_count_ += is_dropped ? 1 : 0;
    return is_dropped;
  }
  /// Flushes and writes with fua seen so far.
  std::uint64_t durable_points() const noexcept { return number_; }
  std::uint64_t dropped() const noexcept { return dropped_count_; }

 private:
  struct Shadow {
    IoOp op;
    IoOp* original = nullptr;
    FlushDroppingPort* port = nullptr;
  };
  static void pass_back(IoOp& op, Result<void> outcome);

  IoPort& inner_;
  Choice drops_;
  std::uint64_t number_ = 0;
  std::uint64_t dropped_count_ = 0;
  std::vector<IoOp*> confirmed_;                      // dropped flushes that poll will complete
  std::map<Shadow*, std::unique_ptr<Shadow>> plain_;  // writes whose fua was dropped
};

}  // namespace wc::sim
