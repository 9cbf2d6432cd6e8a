// SPDX-License-Identifier: LGPL-2.1-or-later
// EntryLines: writes entries as text, CSV or JSON, many million a second.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "writecache/dump.hpp"

namespace wc::tools {

enum class LineFormat : std::uint8_t {
  text,  ///< "INDEX SECTOR SEQ STATE", behind a header that begins with '#'
  csv,   ///< "index,sector,seq,state", behind a header
  json,  ///< objects of an array, separated by commas, without the brackets
};

/// Receives pieces of text of about kPieceBytes.
using TextSink = std::function<Result<void>(std::string_view text)>;

/// Collects lines in one buffer that is handed on whenever it is full.
class EntryLines {
 public:
  static constexpr std::size_t kPieceBytes = 1U << 20;

  EntryLines(LineFormat format, TextSink sink);

  /// Errors: those of the sink.
  Result<void> add(std::span<const ListedEntry> entries);
  /// Hands on what is left; without any entry the header still comes.
  Result<void> finish();

 private:
  Result<void> hand_on();

  LineFormat format_;
  TextSink sink_;
  std::unique_ptr<char[]> buffer_;
  std::size_t used_ = 0;
  bool is_first_ = true;
};

}  // namespace wc::tools
