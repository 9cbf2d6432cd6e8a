// SPDX-License-Identifier: LGPL-2.1-or-later
// ServerSettings: what a live cache is served with, and the one parser of every setting's text.
//
// The command line, the table line and the plugin's key=value words all end in `set`, so that one name means one thing
// everywhere. `words` is the way back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "writecache/device.hpp"
#include "writecache/engine.hpp"

namespace wc::tools {

/// The words of the driver, which users search for.
inline constexpr const char* kBadArguments = "Bad arguments";
inline constexpr const char* kInvalidBlockSize = "Invalid block size";
inline constexpr const char* kInvalidOptional = "Invalid optional argument";
inline constexpr const char* kWatermarksCrossed = "High watermark must be greater than or equal to low watermark";

/// One optional argument of the table line.
struct OptionalArgument {
  const char* name;
  bool is_flag;           ///< takes no number
  std::uint64_t limit;    ///< largest number
  const char* type_name;  ///< of the number, for --help
  const char* help;
};
/// All of them but start_sector, in the order in which the table line shows them.
std::span<const OptionalArgument> optional_arguments() noexcept;
const OptionalArgument* find_optional_argument(std::string_view name) noexcept;

struct ServerSettings {
  std::string cache;
  std::string origin;
  Sector start_sector = 0;
  Sector origin_start_sector = 0;
  std::optional<CacheType> type;                   ///< default: by what the cache is
  std::optional<std::uint32_t> block_bytes;        ///< default: what the superblock says, else 4096
  std::optional<Sector> length;                    ///< of the served device, if not the whole origin
  std::map<std::string, std::uint64_t> optionals;  ///< by their names in the table line; flags are 1
  bool no_overwrite = false;
  bool read_only = false;
  bool format = false;
  std::string name;         ///< of the control socket, for people
  std::string control;      ///< path of the control socket; empty: none
  std::string uri;          ///< where clients connect, for people
  int report_fd = -1;       ///< where the server tells wc-run how it goes
  std::string pending;      ///< path of the log of uncommitted blocks (PendingFile); empty: none
  bool takes_over = false;  ///< what a server before us left there is brought back

  /// Sets one value from its text. Names have underscores or dashes. Returns what is wrong with it, if anything.
  std::optional<std::string> set(const std::string& name, const std::string& text);

  /// key=value words that give these settings to another process.
  std::vector<std::string> words() const;

  /// What contradicts itself, in the driver's words where it has some. `cache_type`: the type that will be served.
  std::optional<std::string> contradiction(CacheType cache_type) const;

  /// The engine's options for this type and block size.
  EngineOptions engine_options(CacheType cache_type, std::uint32_t served_block_bytes) const;

  /// "high_watermark 60 cleaner": the optionals as the table line has them, and how many words they are.
  struct OptionalWords {
    unsigned count = 0;
    std::string text;  ///< each word with a blank before it
  };
  OptionalWords optional_words() const;
};

/// "s" or "p".
const char* type_letter(CacheType type) noexcept;

/// Type p for device-DAX and DAX files, else s.
CacheType guess_type(const std::string& cache);

}  // namespace wc::tools
