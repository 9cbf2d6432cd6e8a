// SPDX-License-Identifier: LGPL-2.1-or-later
// EntryLines: the digits come from fmt's compiled formats, the states are constants.
#include "wc-dump/entry_lines.hpp"

#include <fmt/compile.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace wc::tools {
namespace {

// Three numbers of 20 digits and the longest state, with the names of JSON around them.
constexpr std::size_t kLineBytesMax = 128;
constexpr std::size_t kEntriesAtOnce = 1024;

// A state with what follows it, long enough to be copied as one block of fixed size.
struct StateText {
  char text[16];
  std::size_t length;
};

template <std::size_t kSize>
constexpr StateText state_text(const char (&text)[kSize]) {
  static_assert(kSize <= sizeof(StateText::text) + 1);
  StateText out{};
  for (std::size_t i = 0; i + 1 < kSize; ++i)
    out.text[i] = text[i];
  out.length = kSize - 1;
  return out;
}

constexpr std::array<StateText, 5> kLineStates{state_text("live\n"), state_text("stale\n"), state_text("uncommitted\n"),
                                               state_text("future\n"), state_text("free\n")};
constexpr std::array<StateText, 5> kJsonStates{state_text("live\"}"), state_text("stale\"}"),
                                               state_text("uncommitted\"}"), state_text("future\"}"),
                                               state_text("free\"}")};

char* append(char* out, const StateText& state) noexcept {
  std::memcpy(out, state.text, sizeof state.text);
  return out + state.length;
}

template <class Line>
char* append_all(char* out, std::span<const ListedEntry> entries, Line line) {
  for (const ListedEntry& entry : entries)
    out = line(out, entry);
  return out;
}

}  // namespace

EntryLines::EntryLines(LineFormat format, TextSink sink)
    : format_(format),
      sink_(std::move(sink)),
      buffer_(std::make_unique<char[]>(kPieceBytes + kEntriesAtOnce * kLineBytesMax)) {
  const std::string_view header = format == LineFormat::text  ? "# index sector seq state\n"
                                  : format == LineFormat::csv ? "index,sector,seq,state\n"
                                                              : "";
  header.copy(buffer_.get(), header.size());
  used_ = header.size();
}

Result<void> EntryLines::add(std::span<const ListedEntry> entries) {
  while (!entries.empty()) {
    const auto part = entries.first(std::min(entries.size(), kEntriesAtOnce));
    entries = entries.subspan(part.size());
    char* out = buffer_.get() + used_;
    switch (format_) {
      case LineFormat::text:
        out = append_all(out, part, [](char* to, const ListedEntry& entry) {
          to = fmt::format_to(to, FMT_COMPILE("{} {} {} "), entry.index, entry.sector, entry.seq_count);
          return append(to, kLineStates[static_cast<unsigned>(entry.state)]);
        });
        break;
      case LineFormat::csv:
        out = append_all(out, part, [](char* to, const ListedEntry& entry) {
          to = fmt::format_to(to, FMT_COMPILE("{},{},{},"), entry.index, entry.sector, entry.seq_count);
          return append(to, kLineStates[static_cast<unsigned>(entry.state)]);
        });
        break;
      case LineFormat::json:
        out = append_all(out, part, [this](char* to, const ListedEntry& entry) {
          if (!std::exchange(is_first_, false)) *to++ = ',';
          to = fmt::format_to(to, FMT_COMPILE("\n{{\"index\":{},\"sector\":{},\"seq\":{},\"state\":\""), entry.index,
                              entry.sector, entry.seq_count);
          return append(to, kJsonStates[static_cast<unsigned>(entry.state)]);
        });
        break;
    }
    used_ = static_cast<std::size_t>(out - buffer_.get());
    if (used_ >= kPieceBytes) {
      if (auto handed = hand_on(); !handed) return handed;
    }
  }
  return {};
}

// Whole pieces only, so that every write is one of the size that pipes and files like.
Result<void> EntryLines::hand_on() {
  if (auto handed = sink_({buffer_.get(), kPieceBytes}); !handed) return handed;
  used_ -= kPieceBytes;
  std::memmove(buffer_.get(), buffer_.get() + kPieceBytes, used_);
  return {};
}

Result<void> EntryLines::finish() {
  const std::size_t left = std::exchange(used_, 0);
  if (left == 0) return {};
  return sink_({buffer_.get(), left});
}

}  // namespace wc::tools
