// SPDX-License-Identifier: LGPL-2.1-or-later
// The limit that wc-check is measured against: reads the metadata in pieces of 1 MiB and only classifies
// the entries. Usage: plain_scan CACHE [ROUNDS]; prints the counts and the seconds of each round.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr std::size_t kPieceBytes = 1U << 20;

struct Header {
  std::uint32_t magic, version, block_size, pad;
  std::uint64_t n_blocks, seq_count, padding[4];
};

struct RawEntry {
  std::uint64_t sector, seq;
};

bool scan(int fd, std::vector<RawEntry>& piece) {
  Header header{};
  if (::pread(fd, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) return false;
  std::uint64_t free = 0;
  std::uint64_t committed = 0;
  std::uint64_t other = 0;
  const std::uint64_t end = sizeof header + header.n_blocks * sizeof(RawEntry);
  for (std::uint64_t at = 0; at < end; at += kPieceBytes) {
    const std::size_t want = end - at < kPieceBytes ? end - at : kPieceBytes;
    if (::pread(fd, piece.data(), want, static_cast<off_t>(at)) != static_cast<ssize_t>(want)) return false;
    for (std::size_t i = at == 0 ? sizeof header / sizeof(RawEntry) : 0; i < want / sizeof(RawEntry); ++i) {
      const std::uint64_t seq = piece[i].seq;
      free += seq == ~std::uint64_t{0} ? 1 : 0;
      committed += seq < header.seq_count ? 1 : 0;
    }
  }
  other = header.n_blocks - free - committed;
  std::printf("free %llu committed %llu other %llu", static_cast<unsigned long long>(free),
              static_cast<unsigned long long>(committed), static_cast<unsigned long long>(other));
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 16;
  const int fd = ::open(argv[1], O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 8;
  std::vector<RawEntry> piece(kPieceBytes / sizeof(RawEntry));
  for (int round = argc > 2 ? std::atoi(argv[2]) : 1; round > 0; --round) {
    const auto start = std::chrono::steady_clock::now();
    if (!scan(fd, piece)) return 8;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf(" seconds %.4f\n", took.count());
  }
  ::close(fd);
  return 0;
}
