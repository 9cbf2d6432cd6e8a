// SPDX-License-Identifier: LGPL-2.1-or-later
// ServerSettings: what a live cache is served with, and the one parser of every setting's text.
//
// The command line, the table line and the plugin's key=value words all end in `set`, so that one name means one thing
// everywhere. `words` is the way back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/optional_arguments.hpp"
#include "writecache/device.hpp"
#include "writecache/engine.hpp"

namespace wc::tools {

struct ServerSettings {
  std::string cache;
  std::string origin;
  Sector start_sector = 0;
  Sector origin_start_sector = 0;
  std::optional<CacheType> type;             ///< default: by what the cache is
  std::optional<std::uint32_t> block_bytes;  ///< default: what the superblock says, else 4096
  std::optional<Sector> length;              ///< of the served device, if not the whole origin
  OptionalArguments optionals;
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
