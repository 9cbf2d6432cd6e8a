// SPDX-License-Identifier: LGPL-2.1-or-later
// What the numbers of a live cache mean for whoever looks after it: each number in words and units, and the state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "writecache/engine.hpp"

namespace wc::tools {

/// What is known besides the numbers. A pasted status line tells nothing of it.
struct StatusContext {
  std::optional<std::uint32_t> block_bytes;
  std::optional<unsigned> high_watermark_percent;
  std::optional<unsigned> low_watermark_percent;
  std::optional<CacheType> type;
  std::optional<EngineDetails> details;
  bool is_read_only = false;
  bool has_counters = true;  ///< false: the line has the first four numbers only
};

/// One number: its name as in JSON, its value, and what it says.
struct StatusWord {
  std::string name;
  std::uint64_t value = 0;
  std::string meaning;
};

/// The numbers in the order of the status line.
std::vector<StatusWord> words_of_status(const EngineStatus& status, const StatusContext& context);

/// The state in a word ("filling", "draining", "failed", "suspended", ...), what it means, and what to do.
struct StatusState {
  std::string name;
  std::string meaning;
  std::string action;
};
StatusState state_of_status(const EngineStatus& status, const StatusContext& context);

}  // namespace wc::tools
