// SPDX-License-Identifier: LGPL-2.1-or-later
// The words of error codes, both ways.
#include "common/error_words.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace wc::tools {
namespace {

constexpr auto kWords = std::to_array<std::pair<ErrorCode, std::string_view>>({
    {ErrorCode::io, "io"},
    {ErrorCode::no_space, "no-space"},
    {ErrorCode::busy, "busy"},
    {ErrorCode::permission, "permission"},
    {ErrorCode::not_found, "not-found"},
    {ErrorCode::not_a_cache, "not-a-cache"},
    {ErrorCode::damaged, "damaged"},
    {ErrorCode::dirty, "dirty"},
    {ErrorCode::invalid_argument, "invalid-argument"},
    {ErrorCode::unsupported, "unsupported"},
    {ErrorCode::cancelled, "cancelled"},
});

}  // namespace

const char* to_string(ErrorCode code) noexcept {
  const auto* const found =
      std::find_if(kWords.begin(), kWords.end(), [code](const auto& known) { return known.first == code; });
  return found != kWords.end() ? found->second.data() : "unknown";
}

std::optional<ErrorCode> error_code_of(std::string_view word) noexcept {
  const auto* const found =
      std::find_if(kWords.begin(), kWords.end(), [word](const auto& known) { return known.second == word; });
  return found != kWords.end() ? std::optional(found->first) : std::nullopt;
}

}  // namespace wc::tools
