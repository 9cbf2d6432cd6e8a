// SPDX-License-Identifier: LGPL-2.1-or-later
// Reads and durably writes the superblock of the cache device.
#include "store/superblock_io.hpp"

#include <algorithm>
#include <cstring>

#include "media/superblock.hpp"
#include "store/block_io.hpp"
#include "store/undo_writer.hpp"

namespace wc::store {
namespace {

Error not_a_cache(std::string context) {
  return {ErrorCode::not_a_cache, 0, 0, std::move(context)};
}

}  // namespace

Result<std::optional<Superblock>> read_superblock(IoPort& port) {
  // A file may be longer than a superblock and yet hold not one block that can be read.
  const DeviceInfo cache = port.info(DeviceId::cache);
  if (cache.size_bytes < std::max(kSuperblockBytes, cache.logical_block_bytes)) {
    return std::optional<Superblock>{};
  }
  std::array<std::byte, kSuperblockBytes> raw{};
  if (auto read = read_bytes(port, DeviceId::cache, 0, raw); !read) return read.error();
  return std::optional<Superblock>{media::decode_superblock(raw)};
}

Result<void> write_superblock(IoPort& port, const Superblock& superblock, UndoWriter* undo) {
  const std::uint32_t logical = port.info(DeviceId::cache).logical_block_bytes;
  AlignedBuffer block(logical);
  IoOp op;
  op.kind = IoKind::read;
  op.memory = block.span(0, logical);
  if (auto read = run(port, op); !read) return read;
  if (undo != nullptr) {
    if (auto saved = undo->save(0, block.span(0, kSectorBytes)); !saved) return saved;
    if (auto synced = undo->sync(); !synced) return synced;
  }
  media::encode_superblock(superblock, block.span(0, kSuperblockBytes).first<kSuperblockBytes>());
  op.kind = IoKind::write;
  op.fua = true;
  return run(port, op);
}

Result<OpenedCache> open_cache(IoPort& port) {
  auto superblock = read_superblock(port);
  if (!superblock) return superblock.error();
  if (!*superblock) return not_a_cache("the device is too small to hold a writecache superblock");
  const Superblock& found = **superblock;
  if (found.magic == 0 && found.version == 0) {
    return not_a_cache("no writecache superblock: magic and version are zero (see wc-check)");
  }
  if (found.magic != kMagic) return not_a_cache("invalid magic in the superblock (see wc-check)");
  if (found.version != kVersion) {
    return not_a_cache("invalid version in the superblock (see wc-check)");
  }
  auto geometry = make_geometry(port.info(DeviceId::cache).size_bytes, found.block_size, found.n_blocks);
  if (!geometry) {
    return not_a_cache("the superblock cannot be right: " + geometry.error().context + " (see wc-check)");
  }
  return OpenedCache{found, *geometry};
}

}  // namespace wc::store
