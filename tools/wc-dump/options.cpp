// SPDX-License-Identifier: LGPL-2.1-or-later
// The command line of wc-dump.
#include "wc-dump/options.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <vector>

#include "common/numbers.hpp"

namespace wc::tools {
namespace {

/// "live,stale" or "all".
std::optional<EntryStateSet> parse_states(std::string_view text) {
  if (text == "all") return EntryStateSet::all();
  constexpr std::array kStates{EntryState::live, EntryState::stale, EntryState::uncommitted, EntryState::future,
                               EntryState::free};
  EntryStateSet states;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    bool is_known = false;
    for (const EntryState state : kStates) {
      if (word != to_string(state)) continue;
      states = states.with(state);
      is_known = true;
    }
    if (!is_known) return std::nullopt;
    if (comma == std::string_view::npos) return states;
    text.remove_prefix(comma + 1);
  }
}

std::optional<EntryOrder> parse_order(std::string_view text) {
  if (text == "index") return EntryOrder::index;
  if (text == "sector") return EntryOrder::sector;
  if (text == "seq") return EntryOrder::sequence;
  return std::nullopt;
}

std::optional<SectorRange> parse_read(std::string_view text) {
  if (text.find('+') != std::string_view::npos) return parse_range(text);
  const auto first = parse_sectors(text);
  if (!first) return std::nullopt;
  return SectorRange{*first, 0};
}

std::optional<MapStyle> parse_map(std::string_view text) {
  if (text == "term") return MapStyle::term;
  if (text == "svg") return MapStyle::svg;
  return std::nullopt;
}

}  // namespace

void add_dump_options(CommandLine& line, DumpCommandOptions& options) {
  CLI::App& app = line.app();
  line.add_parsed("--entries", options.entries, parse_states, "[=STATES]",
                  "`all` or a list of live, stale, uncommitted, future, free",
                  "List entries: live ones, or those in the states given: a list such as\n"
                  "--entries=live,stale, or --entries=all");
  line.set_value_if_alone("--entries", "live");
  line.add_parsed("--sort", options.order, parse_order, "ORDER", "one of index, sector, seq",
                  "Order of the entries: index (default), sector or seq");
  app.add_flag("--csv", options.csv, "The entries as CSV with a header");
  line.add_count("--block", options.block, "The data block of entry INDEX, raw")->type_name("INDEX");
  line.add_parsed("--read", options.read, parse_read, "SECTOR[+COUNT]", "a range of sectors such as 2048 or 2048+16",
                  "Merged content from SECTOR of the origin on, raw: the origin overlaid with the\n"
                  "live blocks (COUNT sectors, default one block; needs --origin)");
  line.add_parsed("--map", options.map, parse_map, "[=STYLE]", "one of term, svg",
                  "Where on the origin the dirty blocks lie: term (default) for an 80 column\n"
                  "terminal, or svg");
  line.set_value_if_alone("--map", "term");
  app.add_option("--image", options.image,
                 "Write superblock and entries to FILE, as large as the device but sparse;\n"
                 "wc-check and wc-dump take it in place of CACHE (without --start-sector)")
      ->type_name("FILE");
  line.add_origin("For --read; else entries are checked against its size, and --map shows all of it");
  line.add_lvm();
  app.add_option("-o,--output", options.output,
                 "Write to FILE, which is replaced once complete, instead of\n"
                 "standard output")
      ->type_name("FILE");
  line.add_parsed(
      "--memory", options.memory_bytes,
      [](const std::string& text) -> std::optional<std::uint64_t> {
        const auto bytes = parse_bytes(text);
        if (!bytes || *bytes < kMemoryBytesMin) return std::nullopt;
        return bytes;
      },
      "SIZE", "a size of at least 8M", "Memory to use at most, from 8M up (default 64M)");
  line.add_progress();
}

void validate(const DumpCommandOptions& options) {
  std::vector<std::string_view> shown;
  if (options.entries) shown.push_back("--entries");
  if (!options.entries && options.csv) shown.push_back("--csv");
  if (options.block) shown.push_back("--block");
  if (options.read) shown.push_back("--read");
  if (options.map) shown.push_back("--map");
  if (!options.image.empty()) shown.push_back("--image");
  if (shown.size() > 1) throw UsageError(fmt::format("{} and {} exclude each other", shown[0], shown[1]));
  if (options.order && !options.lists_entries()) throw UsageError("--sort goes with --entries or --csv");
  if (options.read && !options.common.origin && !options.common.lvm) {
    throw UsageError("--read needs --origin ORIGIN or --lvm VG/LV");
  }
  if (!options.image.empty() && !options.output.empty()) throw UsageError("--image and -o exclude each other");
  if (!options.common.json) return;
  if (options.csv) throw UsageError("--json and --csv exclude each other");
  if (!shown.empty() && !options.entries) throw UsageError(fmt::format("--json and {} exclude each other", shown[0]));
}

}  // namespace wc::tools
