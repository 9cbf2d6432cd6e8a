// SPDX-License-Identifier: LGPL-2.1-or-later
// ByteDevice: the engine as a device that takes any byte range, from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <shared_mutex>
#include <span>

#include "wc-run/engine_loop.hpp"

namespace wc::tools {

/// Clients need not keep to the advertised block size: what is not in whole sectors is read, changed and written.
class ByteDevice {
 public:
  /// `takes_any_memory`: data need not be copied to aligned memory first.
  ByteDevice(EngineLoop& loop, bool takes_any_memory) : loop_(loop), takes_any_memory_(takes_any_memory) {}

  Result<void> read(std::uint64_t offset_bytes, std::span<std::byte> data);
  Result<void> write(std::uint64_t offset_bytes, std::span<const std::byte> data, bool fua);
  Result<void> flush();
  /// Whole sectors inside the range only.
  Result<void> discard(std::uint64_t offset_bytes, std::uint64_t length_bytes, bool fua);

 private:
  Result<void> read_sectors(std::uint64_t offset_bytes, std::span<std::byte> memory);
  Result<void> write_sectors(std::uint64_t offset_bytes, std::span<const std::byte> data, bool fua);
  Result<void> change_sectors(std::uint64_t offset_bytes, std::span<const std::byte> data, bool fua);

  EngineLoop& loop_;
  bool takes_any_memory_;
  std::shared_mutex sectors_;  ///< whole sectors are written shared, parts of sectors alone
};

}  // namespace wc::tools
