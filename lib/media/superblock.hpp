// SPDX-License-Identifier: LGPL-2.1-or-later
// Superblock: bytes to values and back. Nothing is judged here.
#pragma once

#include <cstddef>
#include <span>

#include "writecache/superblock.hpp"

namespace wc::media {

/// Reads every field as it stands, valid or not.
Superblock decode_superblock(std::span<const std::byte, kSuperblockBytes> raw) noexcept;

/// Writes every field, padding included.
void encode_superblock(const Superblock& superblock,
                       std::span<std::byte, kSuperblockBytes> raw) noexcept;

}  // namespace wc::media
