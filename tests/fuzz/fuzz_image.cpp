// SPDX-License-Identifier: LGPL-2.1-or-later
// Cache images out of fuzz input.
#include "fuzz/fuzz_image.hpp"

#include <array>

#include "sim/image_builder.hpp"

namespace wc::fuzz {
namespace {

using sim::Bytes;
using sim::ImageBuilder;

constexpr std::array<std::size_t, 8> kSizes{64 << 10, 0, 512, 1024, 4096, 16 << 10, 129 * 512, 256 << 10};
constexpr unsigned kBuiltBlocksMax = 64;

Bytes raw_image(FuzzInput& input) {
  const std::size_t size = kSizes[input.u8() % kSizes.size()];
  const std::byte filling = (input.u8() & 1U) != 0 ? std::byte{0xff} : std::byte{0};
  const auto front = input.bytes(size);
  Bytes image(front.begin(), front.end());
  image.resize(size, filling);
  return image;
}

Bytes built_image(FuzzInput& input) {
  const std::uint8_t size = input.u8();
  // Mostly the small ones: eight sizes, of which 64 KiB come with a few blocks only.
  const unsigned exponent = size % 8;
  const std::uint32_t block_bytes = 512U << exponent;
  const unsigned n_max = std::max(1U, kBuiltBlocksMax >> exponent);
  const unsigned n_blocks = 1 + input.u8() % n_max;
  ImageBuilder builder(block_bytes, n_blocks);
  builder.spare_bytes(std::uint64_t{input.u8()} % 32 * 512);
  Sequence superblock = input.u8();
  if (superblock == 0xff) superblock = input.u64();
  builder.seq_count(superblock);
  Sector sector = 0;
  Sequence sequence = 0;
  const Bytes same = sim::pattern(1, block_bytes);
  for (BlockIndex index = 0; index < n_blocks && !input.is_empty(); ++index) {
    const std::uint8_t what = input.u8();
    if ((what & 0x80U) != 0) continue;
    switch (what & 3U) {
      case 0: sector = Sector{input.u8()} * builder.sectors_per_block(); break;
      case 1: sector = input.u8(); break;
      case 2: sector = input.u64(); break;
      default: break;
    }
    switch ((what >> 2) & 3U) {
      case 0: sequence = input.u8(); break;
      case 1: sequence = input.u64(); break;
      case 2: break;
      default: sequence = superblock; break;
    }
    builder.entry(index, sector, sequence);
    if ((what & 0x10U) != 0) builder.block(index, same);
  }
  Bytes image = builder.build();
  while (input.size() >= 3) {
    const std::size_t at = input.u16();
    image[at % std::min<std::size_t>(image.size(), builder.data_offset_bytes())] = std::byte{input.u8()};
  }
  return image;
}

}  // namespace

MemoryPort::Device take_cache(FuzzInput& input) {
  MemoryPort::Device device;
  const std::uint8_t shape = input.u8();
  device.logical_block_bytes = (shape & 2U) != 0 ? 4096 : 512;
  device.content = (shape & 1U) != 0 ? built_image(input) : raw_image(input);
  device.content.resize(device.content.size() / device.logical_block_bytes * device.logical_block_bytes);
  return device;
}

}  // namespace wc::fuzz
