// SPDX-License-Identifier: LGPL-2.1-or-later
// The command line of wc-check as values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/command_line.hpp"
#include "writecache/check.hpp"

namespace wc::tools {

struct CheckCommandOptions {
  CommonOptions common;
  bool no_modify = false;
  bool preen = false;
  bool repair = false;
  bool superblock_only = false;
  bool no_undo = false;
  bool rebuild_superblock = false;
  std::string undo;                    ///< empty: none
  std::string apply_undo;              ///< empty: none
  std::optional<std::string> explain;  ///< a line, or "-" for standard input; then there is no cache
  FuturePolicy future = FuturePolicy::drop;
  std::optional<std::uint32_t> block_bytes;
  std::optional<std::uint64_t> n_blocks;
  std::optional<Sequence> seq_count;
  std::uint64_t memory_bytes = std::uint64_t{64} << 20;

  RepairMode mode() const noexcept {
    if (repair) return RepairMode::repair;
    return preen ? RepairMode::preen : RepairMode::none;
  }
};

/// Adds the options of wc-check; the values land in `options`, which must outlive `line`.
void add_check_options(CommandLine& line, CheckCommandOptions& options);

/// What CLI11 cannot say. Throws UsageError.
void validate(const CheckCommandOptions& options);

}  // namespace wc::tools
