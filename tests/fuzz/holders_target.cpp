// SPDX-License-Identifier: LGPL-2.1-or-later
// Fuzz target: the kernel's lists of mounts, swaps and locks with arbitrary content.
#include "device/holders.hpp"

#include <algorithm>
#include <string>

#include "fuzz/fuzz_input.hpp"

namespace wc::fuzz {
namespace {

void run(FuzzInput input) {
  const std::string text = input.text();
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  const auto mounts = parse_mountinfo(text);
  require(mounts.size() <= lines, "more mounts than lines");
  for (const Mount& mount : mounts) {
    require(!mount.mount_point.empty() && mount.mount_point.size() <= text.size(), "a mount without a place");
    require(mount.source.size() <= text.size(), "a source that is longer than the list");
  }
  const auto swaps = parse_swaps(text);
  require(swaps.size() <= lines, "more swaps than lines");
  for (const std::string& swap : swaps) require(!swap.empty(), "a swap without a name");
  const auto locks = parse_locks(text);
  require(locks.size() <= lines, "more locks than lines");
  for (const FileLock& lock : locks) require(!lock.kind.empty(), "a lock of no kind");
}

}  // namespace
}  // namespace wc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wc::fuzz::run({data, size});
  return 0;
}
