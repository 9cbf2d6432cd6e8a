// SPDX-License-Identifier: LGPL-2.1-or-later
// A static helper for the test machine: direct, aligned, block-at-a-time I/O that busybox dd cannot do.
//
// Every command opens its devices with O_DIRECT when they are block devices, so that what it reads is what the
// medium (or the device-mapper target) holds, never a stale page. One block at a time matters for type p caches:
// the driver of kernel 6.12 answers some larger reads with wrong data.

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "script.hpp"

namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20U;
constexpr std::size_t kBufferAlignment = 4096;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "vmio: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

[[noreturn]] void usage() {
  std::fputs(
      "vmio write DEVICE BLOCK_BYTES FIRST COUNT STEP SEED   write COUNT blocks, STEP apart\n"
      "vmio scatter DEVICE BLOCK_BYTES COUNT SEED            write COUNT blocks at seeded places\n"
      "vmio load DEVICE BLOCK_BYTES SCRIPT LABEL             writes, flushes and waits of a script; tells of flushes\n"
      "vmio fsync DEVICE                                     make what was written durable\n"
      "vmio discard DEVICE OFFSET_BYTES LENGTH_BYTES\n"
      "vmio copy FROM OFFSET TO OFFSET LENGTH [CHUNK]        read CHUNK bytes (default 1 MiB) at a time\n"
      "vmio zero DEVICE OFFSET LENGTH\n"
      "vmio drain                                            wait until the console has sent everything\n",
      stderr);
  std::exit(16);
}

std::uint64_t number(const char* text) {
  char* end = nullptr;
  errno = 0;
  const std::uint64_t value = std::strtoull(text, &end, 0);
  if (errno != 0 || end == text || *end != '\0') {
    std::fprintf(stderr, "vmio: %s: not a number\n", text);
    std::exit(16);
  }
  return value;
}

/// A file descriptor that closes itself.
class Device {
 public:
  Device(const char* path, int flags) : path_(path) {
    struct stat status {};
    const bool block = ::stat(path, &status) == 0 && S_ISBLK(status.st_mode);
    descriptor_ = ::open(path, flags | O_CLOEXEC | (block ? O_DIRECT : 0));
    if (descriptor_ < 0) fail(path_ + ": open");
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() { ::close(descriptor_); }

  int descriptor() const { return descriptor_; }

  void read(void* memory, std::size_t length, std::uint64_t offset) const {
    auto* at = static_cast<char*>(memory);
    while (length > 0) {
      const ssize_t done = ::pread(descriptor_, at, length, static_cast<off_t>(offset));
      if (done < 0 && errno == EINTR) continue;
      if (done <= 0) {
        if (done == 0) errno = ENODATA;
        fail(path_ + ": read at " + std::to_string(offset));
      }
      at += done;
      offset += static_cast<std::uint64_t>(done);
      length -= static_cast<std::size_t>(done);
    }
  }

  void write(const void* memory, std::size_t length, std::uint64_t offset) const {
    const auto* at = static_cast<const char*>(memory);
    while (length > 0) {
      const ssize_t done = ::pwrite(descriptor_, at, length, static_cast<off_t>(offset));
      if (done < 0 && errno == EINTR) continue;
      if (done <= 0) fail(path_ + ": write at " + std::to_string(offset));
      at += done;
      offset += static_cast<std::uint64_t>(done);
      length -= static_cast<std::size_t>(done);
    }
  }

  void sync() const {
    if (::fsync(descriptor_) != 0) fail(path_ + ": fsync");
  }

  std::uint64_t size_bytes() const {
    std::uint64_t bytes = 0;
    if (::ioctl(descriptor_, BLKGETSIZE64, &bytes) != 0) fail(path_ + ": BLKGETSIZE64");
    return bytes;
  }

 private:
  std::string path_;
  int descriptor_ = -1;
};

void fill(char* memory, std::size_t length, std::uint64_t seed, std::uint64_t block) {
  wc::vm::fill_block(std::as_writable_bytes(std::span(memory, length)), seed, block);
}

struct FreeMemory {
  void operator()(char* memory) const { std::free(memory); }
};

std::unique_ptr<char, FreeMemory> aligned_buffer() {
  auto* memory = static_cast<char*>(std::aligned_alloc(kBufferAlignment, kBufferBytes));
  if (memory == nullptr) fail("memory");
  return std::unique_ptr<char, FreeMemory>(memory);
}

std::size_t block_bytes(const char* text) {
  const std::uint64_t bytes = number(text);
  if (bytes == 0 || bytes > kBufferBytes || bytes % 512 != 0) usage();
  return static_cast<std::size_t>(bytes);
}

int run_write(char** arguments) {
  const Device device(arguments[0], O_WRONLY);
  const std::size_t bytes = block_bytes(arguments[1]);
  const std::uint64_t first = number(arguments[2]);
  const std::uint64_t count = number(arguments[3]);
  const std::uint64_t step = number(arguments[4]);
  const std::uint64_t seed = number(arguments[5]);
  const auto buffer = aligned_buffer();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t block = first + i * step;
    fill(buffer.get(), bytes, seed, block);
    device.write(buffer.get(), bytes, block * bytes);
  }
  return 0;
}

int run_scatter(char** arguments) {
  const Device device(arguments[0], O_WRONLY);
  const std::size_t bytes = block_bytes(arguments[1]);
  const std::uint64_t count = number(arguments[2]);
  const std::uint64_t seed = number(arguments[3]);
  const std::uint64_t blocks = device.size_bytes() / bytes;
  if (blocks == 0) usage();
  const auto buffer = aligned_buffer();
  std::uint64_t state = seed;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t block = wc::vm::next_random(state) % blocks;
    fill(buffer.get(), bytes, seed, block);
    device.write(buffer.get(), bytes, block * bytes);
  }
  return 0;
}

int run_load(char** arguments) {
  const Device device(arguments[0], O_WRONLY);
  const std::size_t bytes = block_bytes(arguments[1]);
  const auto buffer = aligned_buffer();
  std::uint64_t flushes = 0;
  for (const wc::vm::Step& step : wc::vm::read_script(arguments[2])) {
    if (step.verb == "flush") {
      device.sync();
      std::printf("@@FLUSHED %s %llu\n", arguments[3], static_cast<unsigned long long>(++flushes));
      std::fflush(stdout);
    } else if (step.verb == "wait") {
      ::usleep(static_cast<useconds_t>(step.block * 1000));
    } else if (step.verb == "write" && step.count * bytes <= kBufferBytes) {
      for (std::uint64_t i = 0; i < step.count; ++i)
        fill(buffer.get() + i * bytes, bytes, step.tag, step.block + i);
      device.write(buffer.get(), step.count * bytes, step.block * bytes);
    } else {
      usage();
    }
  }
  return 0;
}

int run_copy(char** arguments, int count) {
  const Device from(arguments[0], O_RDONLY);
  const std::uint64_t from_offset = number(arguments[1]);
  const Device to(arguments[2], O_WRONLY);
  const std::uint64_t to_offset = number(arguments[3]);
  const std::uint64_t length = number(arguments[4]);
  const std::size_t chunk = count > 5 ? block_bytes(arguments[5]) : kBufferBytes;
  const auto buffer = aligned_buffer();
  // Small reads are gathered into large writes: only the reading side is under test.
  for (std::uint64_t done = 0; done < length;) {
    const std::uint64_t gathered = std::min<std::uint64_t>(kBufferBytes / chunk * chunk, length - done);
    for (std::uint64_t at = 0; at < gathered;) {
      const std::uint64_t part = std::min<std::uint64_t>(chunk, gathered - at);
      from.read(buffer.get() + at, static_cast<std::size_t>(part), from_offset + done + at);
      at += part;
    }
    to.write(buffer.get(), static_cast<std::size_t>(gathered), to_offset + done);
    done += gathered;
  }
  return 0;
}

int run_zero(char** arguments) {
  const Device device(arguments[0], O_WRONLY);
  const std::uint64_t offset = number(arguments[1]);
  const std::uint64_t length = number(arguments[2]);
  const auto buffer = aligned_buffer();
  std::memset(buffer.get(), 0, kBufferBytes);
  for (std::uint64_t done = 0; done < length;) {
    const std::uint64_t part = std::min<std::uint64_t>(kBufferBytes, length - done);
    device.write(buffer.get(), static_cast<std::size_t>(part), offset + done);
    done += part;
  }
  return 0;
}

int run_discard(char** arguments) {
  const Device device(arguments[0], O_WRONLY);
  std::uint64_t range[2] = {number(arguments[1]), number(arguments[2])};
  if (::ioctl(device.descriptor(), BLKDISCARD, range) != 0) fail("BLKDISCARD");
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) usage();
  const std::string_view command = arguments[1];
  const int left = count - 2;
  char** rest = arguments + 2;
  if (command == "write" && left == 6) return run_write(rest);
  if (command == "scatter" && left == 4) return run_scatter(rest);
  if (command == "load" && left == 4) return run_load(rest);
  if (command == "copy" && (left == 5 || left == 6)) return run_copy(rest, left);
  if (command == "zero" && left == 3) return run_zero(rest);
  if (command == "discard" && left == 3) return run_discard(rest);
  if (command == "drain" && left == 0) return ::tcdrain(STDOUT_FILENO) == 0 ? 0 : 1;
  if (command == "fsync" && left == 1) {
    Device(rest[0], O_WRONLY).sync();
    return 0;
  }
  usage();
}
