// SPDX-License-Identifier: LGPL-2.1-or-later
// PendingFile: records that count only once the header's number says so.
#include "wc-run/pending_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fstream>

namespace wc::tools {
namespace {

constexpr std::uint64_t kMagic = 0x31676f6c646e6570;  // "pendlog1"
constexpr std::size_t kHeaderBytes = 4096;
constexpr std::size_t kFirstBytes = 1U << 20;
constexpr mode_t kMode = 0600;

/// Differs after every start of the machine.
std::uint64_t boot_number() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::uint64_t number = 0xcbf29ce484222325;  // FNV-1a
  for (char character = 0; file.get(character);)
    number = (number ^ static_cast<unsigned char>(character)) * 0x100000001b3;
  return number;
}

void store(std::uint64_t& to, std::uint64_t value) noexcept {
  std::atomic_ref(to).store(value, std::memory_order_release);
}

}  // namespace

struct PendingFile::Header {
  std::uint64_t magic;
  std::uint64_t boot;
  std::uint64_t sequence;  ///< of all records
  std::uint64_t count;     ///< of whole records
  std::uint64_t is_torn;   ///< something could not be remembered
};

struct PendingFile::Record {
  Sector sector;
  std::uint32_t block;
  std::uint32_t is_removed;
};

PendingFile::Header& PendingFile::Part::header() const noexcept { return *reinterpret_cast<Header*>(memory); }

PendingFile::Record* PendingFile::Part::records() const noexcept {
  return reinterpret_cast<Record*>(memory + kHeaderBytes);
}

std::size_t PendingFile::Part::capacity() const noexcept { return (bytes - kHeaderBytes) / sizeof(Record); }

/// With all its pages: one that is missing later would be a signal instead of an error.
bool PendingFile::Part::grow(std::size_t wanted_bytes) noexcept {
  if (::posix_fallocate(fd, 0, static_cast<off_t>(wanted_bytes)) != 0) return false;
  void* const mapped = memory == nullptr ? ::mmap(nullptr, wanted_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                                         : ::mremap(memory, bytes, wanted_bytes, MREMAP_MAYMOVE);
  if (mapped == MAP_FAILED) return false;
  memory = static_cast<std::byte*>(mapped);
  bytes = wanted_bytes;
  return true;
}

void PendingFile::Part::begin(std::uint64_t sequence) noexcept {
  store(header().count, 0);
  store(header().sequence, sequence);
}

PendingFile::PendingFile(const std::string& path) {
  parts_[0].path = path + ".even";
  parts_[1].path = path + ".odd";
}

PendingFile::~PendingFile() {
  for (const Part& part : parts_) {
    if (part.memory != nullptr) ::munmap(part.memory, part.bytes);
    if (part.fd >= 0) ::close(part.fd);
  }
}

Result<void> PendingFile::open_parts(int flags) {
  for (Part& part : parts_) {
    part.fd = ::open(part.path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, kMode);
    if (part.fd < 0) {
      const ErrorCode code = errno == ENOENT ? ErrorCode::not_found : ErrorCode::io;
      return Error{code, errno, 0, part.path + ": cannot be opened"};
    }
    const off_t size = ::lseek(part.fd, 0, SEEK_END);
    const std::size_t wanted = std::max<std::size_t>(kFirstBytes, size < 0 ? 0 : static_cast<std::size_t>(size));
    if (!part.grow(wanted)) return Error{ErrorCode::no_space, errno, 0, part.path + ": no memory for it"};
  }
  return {};
}

Result<std::unique_ptr<PendingFile>> PendingFile::create(const std::string& path) {
  std::unique_ptr<PendingFile> file(new PendingFile(path));
  file->remove();
  if (auto opened = file->open_parts(O_CREAT | O_EXCL); !opened) return opened.error();
  for (const Part& part : file->parts_) {
    part.header().boot = boot_number();
    store(part.header().magic, kMagic);
  }
  return file;
}

Result<std::unique_ptr<PendingFile>> PendingFile::reopen(const std::string& path) {
  std::unique_ptr<PendingFile> file(new PendingFile(path));
  if (auto opened = file->open_parts(0); !opened) return opened.error();
  for (const Part& part : file->parts_) {
    const Header& header = part.header();
    if (header.magic != kMagic || header.boot != boot_number()) {
      return Error{ErrorCode::not_found, 0, 0, part.path + ": is not from this start of the machine"};
    }
    if (header.is_torn != 0 || header.count > part.capacity()) {
      return Error{ErrorCode::damaged, 0, 0, part.path + ": does not hold everything"};
    }
  }
  return file;
}

void PendingFile::add(const PendingBlock& block) noexcept {
  Part& part = parts_[block.sequence & 1];
  Header& header = part.header();
  if (header.sequence != block.sequence) part.begin(block.sequence);
  const std::uint64_t count = header.count;
  if (count == part.capacity() && !part.grow(2 * part.bytes)) {
    store(part.header().is_torn, 1);
    return;
  }
  part.records()[count] = {block.sector, static_cast<std::uint32_t>(block.block), block.is_removed ? 1U : 0U};
  store(part.header().count, count + 1);
}

std::vector<PendingBlock> PendingFile::left() const {
  std::vector<PendingBlock> left;
  const bool is_odd_first = parts_[1].header().sequence < parts_[0].header().sequence;
  for (const std::size_t at : {std::size_t{is_odd_first}, std::size_t{!is_odd_first}}) {
    const Header& header = parts_[at].header();
    for (std::uint64_t i = 0; i < header.count; ++i) {
      const Record& record = parts_[at].records()[i];
      left.push_back({record.block, record.sector, header.sequence, record.is_removed != 0});
    }
  }
  return left;
}

void PendingFile::taken_over(Sequence sequence) noexcept {
  Part& later = parts_[(sequence + 1) & 1];
  if (later.header().sequence > sequence) later.begin(0);
}

void PendingFile::remove() noexcept {
  for (const Part& part : parts_)
    ::unlink(part.path.c_str());
}

}  // namespace wc::tools
