// SPDX-License-Identifier: LGPL-2.1-or-later
// Makes caches for benchmarks: live entries at random places of the origin, in runs of a given length.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "media/entry.hpp"
#include "media/superblock.hpp"

namespace {

struct Options {
  std::string cache;
  std::string origin;
  std::uint64_t n_blocks = 0;
  std::uint64_t live = 0;
  std::uint64_t run_blocks = 1;
  std::uint64_t origin_blocks = 0;
  std::uint32_t block_bytes = 4096;
  bool data = false;
};

/// A permutation of [0, size), size a power of two, without a pattern that a prefetcher could follow.
std::uint64_t scattered(std::uint64_t value, std::uint64_t size) {
  const std::uint64_t mask = size - 1;
  const int half = std::max(1, std::countr_zero(size) / 2);
  for (int round = 0; round < 3; ++round) {
    value = (value * 0x9e3779b97f4a7c15U + 0x1234567U) & mask;
    value ^= value >> half;
  }
  return value & mask;
}

bool write_all(int fd, const std::vector<std::byte>& bytes, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote =
        ::pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (wrote <= 0) return false;
    done += static_cast<std::size_t>(wrote);
  }
  return true;
}

bool make_cache(const Options& options) {
  const std::uint64_t data_offset =
      wc::round_up(wc::Geometry::entry_offset_bytes(options.n_blocks), options.block_bytes);
  const int fd = ::open(options.cache.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  if (::ftruncate(fd, static_cast<off_t>(data_offset + options.n_blocks * options.block_bytes)) != 0) return false;
  wc::Superblock superblock;
  superblock.block_size = options.block_bytes;
  superblock.n_blocks = options.n_blocks;
  superblock.seq_count = 1000;
  std::vector<std::byte> piece(wc::kSuperblockBytes);
  wc::media::encode_superblock(superblock, std::span(piece).first<wc::kSuperblockBytes>());
  if (!write_all(fd, piece, 0)) return false;
  const std::uint64_t sectors = options.block_bytes / wc::kSectorBytes;
  const std::uint64_t runs = options.origin_blocks / options.run_blocks;
  constexpr std::uint64_t kEntriesAPiece = 1U << 16;
  for (std::uint64_t first = 0; first < options.n_blocks; first += kEntriesAPiece) {
    const std::uint64_t count = std::min(kEntriesAPiece, options.n_blocks - first);
    piece.resize(count * wc::kEntryBytes);
    for (std::uint64_t i = 0; i < count; ++i) {
      wc::Entry entry;
      const std::uint64_t index = first + i;
      if (index < options.live) {
        const std::uint64_t run = scattered(index / options.run_blocks, runs);
        entry = {(run * options.run_blocks + index % options.run_blocks) * sectors, index % 1000};
      }
      wc::media::store_entry(piece.data() + i * wc::kEntryBytes, entry);
    }
    if (!write_all(fd, piece, wc::Geometry::entry_offset_bytes(first))) return false;
  }
  if (options.data) {
    piece.assign(std::size_t{1} << 20, std::byte{0});
    for (std::uint64_t at = 0; at < options.live * options.block_bytes; at += piece.size()) {
      for (std::size_t i = 0; i < piece.size(); i += 512) {
        wc::media::store_le(piece.data() + i, (at + i) * 0x9e3779b97f4a7c15U);
      }
      if (!write_all(fd, piece, data_offset + at)) return false;
    }
  }
  return ::fsync(fd) == 0 && ::close(fd) == 0;
}

bool make_origin(const Options& options) {
  if (options.origin.empty()) return true;
  const int fd = ::open(options.origin.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  // Written, not sparse: allocating blocks would be measured otherwise.
  const std::vector<std::byte> piece(std::size_t{1} << 20, std::byte{0x5a});
  for (std::uint64_t at = 0; at < options.origin_blocks * options.block_bytes; at += piece.size()) {
    if (!write_all(fd, piece, at)) return false;
  }
  return ::fsync(fd) == 0 && ::close(fd) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Makes a cache with dirty blocks for benchmarks");
  app.add_option("CACHE", options.cache)->required();
  app.add_option("--origin", options.origin, "make an origin of --origin-blocks too");
  app.add_option("--blocks", options.n_blocks)->required();
  app.add_option("--live", options.live)->required();
  app.add_option("--run", options.run_blocks, "blocks that are neighbours on origin and cache; a power of two");
  app.add_option("--origin-blocks", options.origin_blocks, "a power of two")->required();
  app.add_option("--block-size", options.block_bytes);
  app.add_flag("--data", options.data, "write the data of the live blocks");
  CLI11_PARSE(app, argc, argv);
  if (!std::has_single_bit(options.origin_blocks) || !std::has_single_bit(options.run_blocks) ||
      options.live > options.n_blocks || options.live > options.origin_blocks) {
    std::fprintf(stderr, "make_bench_cache: sizes do not fit together\n");
    return 16;
  }
  if (make_cache(options) && make_origin(options)) return 0;
  std::perror("make_bench_cache");
  return 8;
}
