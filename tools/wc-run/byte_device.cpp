// SPDX-License-Identifier: LGPL-2.1-or-later
// ByteDevice: pieces of bounded size through aligned memory of the thread, and parts of sectors.
#include "wc-run/byte_device.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>

#include "writecache/port.hpp"
#include "writecache/units.hpp"

namespace wc::tools {
namespace {

/// Largest request to the engine; longer ones of a client are cut.
constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 20;

struct FreeMemory {
  void operator()(std::byte* memory) const noexcept { std::free(memory); }
};

/// Memory of this thread that every device can transfer into; grows to what its client asks for.
std::span<std::byte> aligned_memory(std::uint64_t bytes) {
  thread_local std::unique_ptr<std::byte, FreeMemory> memory;
  thread_local std::uint64_t size = 0;
  if (size < bytes) {
    const std::uint64_t wanted = round_up(bytes, kIoAlignmentBytes);
    memory.reset(static_cast<std::byte*>(std::aligned_alloc(kIoAlignmentBytes, wanted)));
    size = memory ? wanted : 0;
    if (!memory) throw std::bad_alloc();
  }
  return {memory.get(), bytes};
}

bool is_aligned(std::uint64_t offset_bytes, std::uint64_t length_bytes) {
  return ((offset_bytes | length_bytes) % kSectorBytes) == 0;
}

}  // namespace

Result<void> ByteDevice::read(std::uint64_t offset_bytes, std::span<std::byte> data) {
  while (!data.empty()) {
    const std::uint64_t first = round_down(offset_bytes, kSectorBytes);
    const std::uint64_t skipped = offset_bytes - first;
    const std::uint64_t count = std::min<std::uint64_t>(data.size(), kPieceBytes - skipped);
    if (takes_any_memory_ && is_aligned(offset_bytes, count)) {
      if (auto outcome = read_sectors(first, data.first(count)); !outcome) return outcome;
    } else {
      const auto memory = aligned_memory(round_up(skipped + count, kSectorBytes));
      if (auto outcome = read_sectors(first, memory); !outcome) return outcome;
      std::memcpy(data.data(), memory.data() + skipped, count);
    }
    data = data.subspan(count);
    offset_bytes += count;
  }
  return {};
}

Result<void> ByteDevice::read_sectors(std::uint64_t offset_bytes, std::span<std::byte> memory) {
  Request request;
  request.kind = RequestKind::read;
  request.offset_bytes = offset_bytes;
  request.memory = memory;
  return loop_.perform(request);
}

Result<void> ByteDevice::write(std::uint64_t offset_bytes, std::span<const std::byte> data, bool fua) {
  if (is_aligned(offset_bytes, data.size())) {
    const std::shared_lock lock(sectors_);
    return write_sectors(offset_bytes, data, fua);
  }
  const std::unique_lock lock(sectors_);
  // A part of a sector in front, whole sectors, a part behind.
  const std::uint64_t head =
      std::min<std::uint64_t>((kSectorBytes - offset_bytes % kSectorBytes) % kSectorBytes, data.size());
  const std::uint64_t whole = round_down(data.size() - head, kSectorBytes);
  if (auto outcome = change_sectors(offset_bytes, data.first(head), fua); !outcome) return outcome;
  if (auto outcome = write_sectors(offset_bytes + head, data.subspan(head, whole), fua); !outcome) return outcome;
  return change_sectors(offset_bytes + head + whole, data.subspan(head + whole), fua);
}

Result<void> ByteDevice::write_sectors(std::uint64_t offset_bytes, std::span<const std::byte> data, bool fua) {
  while (!data.empty()) {
    const std::uint64_t count = std::min<std::uint64_t>(data.size(), kPieceBytes);
    Request request;
    request.kind = RequestKind::write;
    request.fua = fua;
    request.offset_bytes = offset_bytes;
    if (takes_any_memory_) {
      // Only read from, as this is a write.
      request.memory = {const_cast<std::byte*>(data.data()), count};
    } else {
      request.memory = aligned_memory(count);
      std::memcpy(request.memory.data(), data.data(), count);
    }
    if (auto outcome = loop_.perform(request); !outcome) return outcome;
    data = data.subspan(count);
    offset_bytes += count;
  }
  return {};
}

/// Writes a part of one sector.
Result<void> ByteDevice::change_sectors(std::uint64_t offset_bytes, std::span<const std::byte> data, bool fua) {
  if (data.empty()) return {};
  const std::uint64_t first = round_down(offset_bytes, kSectorBytes);
  const auto memory = aligned_memory(kSectorBytes);
  if (auto outcome = read_sectors(first, memory); !outcome) return outcome;
  std::memcpy(memory.data() + (offset_bytes - first), data.data(), data.size());
  Request request;
  request.kind = RequestKind::write;
  request.fua = fua;
  request.offset_bytes = first;
  request.memory = memory;
  return loop_.perform(request);
}

Result<void> ByteDevice::flush() {
  Request request;
  request.kind = RequestKind::flush;
  return loop_.perform(request);
}

Result<void> ByteDevice::discard(std::uint64_t offset_bytes, std::uint64_t length_bytes, bool fua) {
  const std::uint64_t first = round_up(offset_bytes, kSectorBytes);
  const std::uint64_t end = round_down(offset_bytes + length_bytes, kSectorBytes);
  if (first < end) {
    const std::shared_lock lock(sectors_);
    Request request;
    request.kind = RequestKind::discard;
    request.offset_bytes = first;
    request.length_bytes = end - first;
    if (auto outcome = loop_.perform(request); !outcome) return outcome;
  }
  return fua ? flush() : Result<void>();
}

}  // namespace wc::tools
