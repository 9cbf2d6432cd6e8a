// SPDX-License-Identifier: LGPL-2.1-or-later
// The implementations of IoPort that the contract suite runs over.
#pragma once

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "writecache/port.hpp"

namespace wc::test {

/// What a case wants to be behind the port. Both devices have the same size and start as zeros.
struct PortSetup {
  std::uint64_t size_bytes = 1U << 20;    ///< of each window
  std::uint64_t window_offset_bytes = 0;  ///< of each window on its medium
  bool writable = true;
  bool has_origin = true;
};

/// A port with what it stands on.
class PortUnderTest {
 public:
  virtual ~PortUnderTest() = default;
  virtual IoPort& port() = 0;
  /// Cuts the medium of `device` behind the port's back. False where that cannot happen.
  virtual bool cut_medium(DeviceId device, std::uint64_t window_bytes_left) = 0;
  /// A byte of the medium as others see it, from the start of the medium; empty where nobody can.
  virtual std::vector<std::byte> medium(DeviceId device) = 0;
};

/// One row of the list. `make` answers null where the machine lacks what it needs, and says why.
struct PortKind {
  const char* name;
  std::unique_ptr<PortUnderTest> (*make)(const PortSetup& setup, std::string& why_not);
  bool can_discard_cache;
};

inline void PrintTo(const PortKind& kind, std::ostream* out) { *out << kind.name; }

const std::vector<PortKind>& port_kinds();

#ifdef WC_HAS_SIM
std::unique_ptr<PortUnderTest> make_sim_port(const PortSetup& setup, std::string& why_not);
#endif

}  // namespace wc::test
