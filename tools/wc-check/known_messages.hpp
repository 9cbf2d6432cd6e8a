// SPDX-License-Identifier: LGPL-2.1-or-later
// The messages that users find in the kernel log and on LVM's terminal, with what they mean and what to do.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace wc::tools {

enum class FieldKind : std::uint8_t {
  none,
  number,  ///< as it is
  sector,  ///< of the origin: told in bytes too
  bytes,
  error,  ///< an errno, with or without a sign, or a word such as EINVAL
  text,
};

struct MessageField {
  FieldKind kind = FieldKind::none;
  const char* name = "";
  const char* meaning = "";
};

/// `text` is the literal message with % for each field, in order.
struct KnownMessage {
  const char* source;  ///< "kernel", "lvm" or "dmsetup"
  const char* text;
  const char* meaning;
  const char* action;
  std::array<MessageField, 3> fields{};
};

std::span<const KnownMessage> known_messages() noexcept;

}  // namespace wc::tools
