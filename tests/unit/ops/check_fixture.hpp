// SPDX-License-Identifier: LGPL-2.1-or-later
// CheckRun: runs check() on a made-up cache and keeps what it left behind.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "sim/image_builder.hpp"
#include "sim/machine.hpp"
#include "sim/oracle.hpp"
#include "writecache/check.hpp"

namespace wc::test {

using sim::Bytes;
using sim::ImageBuilder;

/// One check on one image. `origin_sectors` 0: without an origin.
struct CheckRun {
  CheckRun(const Bytes& cache, const CheckOptions& options_in, Sector origin_sectors = 0,
           std::uint32_t logical_block_bytes = 512)
      : machine({cache, origin_sectors == 0 ? Bytes{} : sim::make_origin(origin_sectors), {}},
                {logical_block_bytes, logical_block_bytes, 1U << 20}, 1) {
    CheckOptions options = options_in;
    if (options.mode == RepairMode::repair && options.undo == nullptr) options.undo = &machine.undo;
    Observer observer;
    auto result = check(machine.disk, options, observer);
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().message());
    if (result) report = std::move(*result);
  }

  Bytes cache() const { return machine.content().cache; }
  /// The codes found, in order, with a space between: "future stale".
  static std::string codes(const std::vector<Finding>& findings) {
    std::string text;
    for (const Finding& finding : findings) {
      if (!text.empty()) text += ' ';
      text += to_string(finding.code);
    }
    return text;
  }
  std::string found() const { return codes(report.findings); }
  std::string remaining() const { return codes(report.remaining); }

  sim::Machine machine;
  CheckReport report;
};

inline CheckOptions repair_options() {
  CheckOptions options;
  options.mode = RepairMode::repair;
  return options;
}

}  // namespace wc::test
