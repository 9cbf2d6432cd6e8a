// SPDX-License-Identifier: LGPL-2.1-or-later
// Collects the marks that the linker put in the section wc_marks.
#include "sim/marks.hpp"

#include <fstream>

#include "reached.hpp"

#ifdef WC_MARKS
// The linker defines both where the program holds a mark; else they are null.
extern "C" {
extern wc::ReachedMark* __start_wc_marks[] __attribute__((weak, visibility("hidden")));
extern wc::ReachedMark* __stop_wc_marks[] __attribute__((weak, visibility("hidden")));
}
#endif

namespace wc::sim {

std::map<std::string, std::uint64_t> marks() {
  std::map<std::string, std::uint64_t> counts;
#ifdef WC_MARKS
  for (auto* mark = __start_wc_marks; mark != __stop_wc_marks; ++mark) {
    counts[(*mark)->name] += (*mark)->count.load(std::memory_order_relaxed);
  }
#endif
  return counts;
}

bool read_marks_file(const std::string& path, std::map<std::string, std::uint64_t>& counts) {
  std::ifstream file(path);
  if (!file) return false;
  std::uint64_t count = 0;
  std::string name;
  while (file >> count && std::getline(file >> std::ws, name))
    counts[name] += count;
  return true;
}

bool add_marks_to_file(const std::string& path) {
  auto counts = marks();
  static_cast<void>(read_marks_file(path, counts));
  std::ofstream file(path);
  for (const auto& [name, count] : counts)
    file << count << ' ' << name << '\n';
  return static_cast<bool>(file.flush());
}

}  // namespace wc::sim
