// SPDX-License-Identifier: LGPL-2.1-or-later
// Fuzz target: pasted lines of any kind, as wc-check --explain takes them.
#include <sstream>
#include <string>

#include "fuzz/fuzz_input.hpp"
#include "wc-check/explanation.hpp"

namespace wc::fuzz {
namespace {

using namespace tools;

void check_line(const std::string& line) {
  const auto explanation = explain_line(line);
  if (!explanation) return;
  require(!explanation->meaning.empty(), "an explanation says nothing");
  require(explanation->kind != LineKind::unknown || explanation->parts.empty(), "what is not understood has parts");
  for (const TextRow& part : explanation->parts)
    require(!part.name.empty(), "a part has no name");
  require(text_rows(explanation->parts).size() >= explanation->parts.size(), "a part has no row");
}

}  // namespace
}  // namespace wc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream lines(std::string(reinterpret_cast<const char*>(data), size));
  for (std::string line; std::getline(lines, line);)
    wc::fuzz::check_line(line);
  return 0;
}
