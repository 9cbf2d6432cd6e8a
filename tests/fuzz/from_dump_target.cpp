// SPDX-License-Identifier: LGPL-2.1-or-later
// Fuzz target: the reader of `wc-format --from-dump` over arbitrary text.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz/fuzz_input.hpp"
#include "wc-format/dump_reader.hpp"

namespace wc::fuzz {
namespace {

void run(FuzzInput input) {
  const int fd = ::memfd_create("dump", MFD_CLOEXEC);
  require(fd >= 0, "no memory file");
  const auto text = input.rest();
  require(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()), "the memory file is too short");
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const auto summary = tools::DumpReader::check_file(path);
  auto reader = tools::DumpReader::open(path);
  require(reader.has_value(), "a file that is there cannot be opened");
  std::uint64_t entries = 0;
  std::optional<BlockIndex> last;
  bool is_good = true;
  for (;;) {
    const auto item = (*reader)->next();
    is_good = item.has_value();
    if (!is_good || !*item) break;
    require(!last || (*item)->index > *last, "entries that do not ascend");
    last = (*item)->index;
    ++entries;
    require(entries <= text.size(), "more entries than bytes");
  }
  require(is_good || !summary, "a dump that was checked cannot be read");
  if (summary) {
    require(summary->entries == entries && summary->last_index == last, "the check counted other entries");
  }
  ::close(fd);
}

}  // namespace
}  // namespace wc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wc::fuzz::run({data, size});
  return 0;
}
