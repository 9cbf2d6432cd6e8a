// SPDX-License-Identifier: LGPL-2.1-or-later
// apply_undo: puts back what a repair overwrote, newest first.
#include <algorithm>
#include <vector>

#include "store/block_io.hpp"
#include "store/undo_writer.hpp"
#include "writecache/check.hpp"

namespace wc {

Result<std::uint64_t> apply_undo(IoPort& port, UndoLog& undo, Observer& observer) {
  constexpr std::size_t kCopyBytes = 64 << 10;
  std::vector<std::byte> copy(kCopyBytes);
  std::uint64_t restored_bytes = 0;
  const auto apply = [&](const store::UndoRecord& record) -> Result<void> {
    if (observer.is_cancelled()) return Error{ErrorCode::cancelled, 0, 0, "cancelled"};
    if (record.kind == store::UndoKind::barrier) return store::flush(port, DeviceId::cache);
    if (record.kind == store::UndoKind::data_block) return {};
    for (std::uint64_t done = 0; done < record.length_bytes;) {
      const auto part = std::span(copy).first(std::min<std::uint64_t>(copy.size(), record.length_bytes - done));
      if (auto read = undo.read(record.payload_offset_bytes + done, part); !read) return read;
      auto written = store::write_bytes(port, DeviceId::cache, record.offset_bytes + done, part);
      if (!written) return written;
      done += part.size();
    }
    restored_bytes += record.length_bytes;
    observer.on_progress({"undo", restored_bytes, restored_bytes});
    return {};
  };
  auto visited = store::visit_undo_backwards(undo, port.info(DeviceId::cache), apply);
  // Also after an error: what was put back so far must not depend on a cache.
  auto flushed = store::flush(port, DeviceId::cache);
  if (!visited) return visited.error();
  if (!flushed) return flushed.error();
  return restored_bytes;
}

}  // namespace wc
