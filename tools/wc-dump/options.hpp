// SPDX-License-Identifier: LGPL-2.1-or-later
// The command line of wc-dump as values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/command_line.hpp"
#include "writecache/drain.hpp"
#include "writecache/dump.hpp"

namespace wc::tools {

enum class MapStyle : std::uint8_t { term, svg };

struct DumpCommandOptions {
  CommonOptions common;
  std::optional<EntryStateSet> entries;  ///< list them
  std::optional<EntryOrder> order;
  bool csv = false;
  std::optional<BlockIndex> block;
  std::optional<SectorRange> read;  ///< a count of 0: one block
  std::optional<MapStyle> map;
  std::string image;   ///< empty: none
  std::string output;  ///< empty: standard output
  std::uint64_t memory_bytes = std::uint64_t{64} << 20;

  /// --csv alone lists the live entries.
  bool lists_entries() const noexcept { return entries.has_value() || csv; }
  ListOptions list_options() const {
    ListOptions list;
    if (entries) list.states = *entries;
    if (order) list.order = *order;
    list.memory_bytes = memory_bytes;
    return list;
  }
};

/// Adds the options of wc-dump; the values land in `options`, which must outlive `line`.
void add_dump_options(CommandLine& line, DumpCommandOptions& options);

/// What CLI11 cannot say. Throws UsageError.
void validate(const DumpCommandOptions& options);

}  // namespace wc::tools
