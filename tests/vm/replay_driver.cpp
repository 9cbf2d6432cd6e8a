// SPDX-License-Identifier: LGPL-2.1-or-later
// Sends a script to the driver, inside the test machine, and notes the status line after each step.
//
// usage: replay_driver WC HOLD CACHE SCRIPT EXPECTED RESULT BLOCK_BYTES
// WC is the name of the mapped device, HOLD that of the one below it that is suspended to hold back the origin, CACHE
// the path of its cache. EXPECTED has one line a step, as result_line() makes them, with `*` for a number that timing
// decides. The driver works behind the caller's back (it begins a commit of its own in a work queue), so each step is
// waited for until its line is as expected, for a while; what is there then goes into RESULT. Behind a first difference
// a few more steps are noted, to see what follows from it.
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "script.hpp"

namespace {

using wc::vm::Step;
using Numbers = std::array<std::uint64_t, 14>;

constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::milliseconds kPatienceLater{100};
constexpr std::size_t kStepsAfterDifference = 12;
constexpr std::size_t kAlignment = 4096;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "replay_driver: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

/// Calls of the device mapper's control device.
class Mapper {
 public:
  Mapper() : control_(::open("/dev/mapper/control", O_RDWR | O_CLOEXEC)) {
    if (control_ < 0) fail("/dev/mapper/control");
  }
  Mapper(const Mapper&) = delete;
  Mapper& operator=(const Mapper&) = delete;
  ~Mapper() { ::close(control_); }

  void suspend(const char* name, bool is_for_holding) const {
    Call call(name);
    call.head().flags = DM_SUSPEND_FLAG | (is_for_holding ? DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG : 0U);
    run(DM_DEV_SUSPEND, call, "suspend");
  }
  void resume(const char* name) const {
    Call call(name);
    run(DM_DEV_SUSPEND, call, "resume");
  }
  void message(const char* name, const std::string& word) const {
    Call call(name);
    auto* const body = call.body() + sizeof(dm_target_msg);
    std::memcpy(body, word.c_str(), word.size() + 1);
    run(DM_TARGET_MSG, call, "message " + word);
  }
  Numbers status(const char* name) const {
    Call call(name);
    call.head().flags = DM_NOFLUSH_FLAG;
    run(DM_TABLE_STATUS, call, "status");
    std::istringstream text(reinterpret_cast<const char*>(call.body() + sizeof(dm_target_spec)));
    Numbers numbers{};
    for (std::uint64_t& number : numbers) {
      if (!(text >> number)) fail("status: too few numbers");
    }
    return numbers;
  }

 private:
  class Call {
   public:
    explicit Call(const char* name) {
      dm_ioctl& header = head();
      header.version[0] = DM_VERSION_MAJOR;
      header.data_size = static_cast<std::uint32_t>(memory_.size());
      header.data_start = sizeof(dm_ioctl);
      std::strncpy(header.name, name, sizeof(header.name) - 1);
    }
    dm_ioctl& head() { return *reinterpret_cast<dm_ioctl*>(memory_.data()); }
    std::byte* body() { return memory_.data() + sizeof(dm_ioctl); }

   private:
    alignas(8) std::array<std::byte, 4096> memory_{};
  };
  void run(unsigned long request, Call& call, const std::string& what) const {
    if (::ioctl(control_, request, &call.head()) != 0) fail(what);
  }

  int control_;
};

struct FreeMemory {
  void operator()(std::byte* memory) const { std::free(memory); }
};

/// Requests to the mapped device: one bio each, as long as they are small and aligned.
class Requests {
 public:
  Requests(const Mapper& mapper, const char* name, std::size_t block_bytes)
      : mapper_(mapper), name_(name), block_bytes_(block_bytes) {
    descriptor_ = ::open(("/dev/mapper/" + name_).c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
    if (descriptor_ < 0) fail(name_);
  }
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;
  ~Requests() { ::close(descriptor_); }

  void perform(const Step& step) {
    if (step.verb == "flush") {
      if (::fsync(descriptor_) != 0) fail("flush");
    } else if (step.verb == "message") {
      mapper_.message(name_.c_str(), step.word);
    } else if (step.verb == "discard") {
      std::array<std::uint64_t, 2> range{step.block * block_bytes_, step.count * block_bytes_};
      if (::ioctl(descriptor_, BLKDISCARD, range.data()) != 0) fail("discard");
    } else {
      transfer(step);
    }
  }
  void start(const Step& step) {
    ++pending_;
    threads_.emplace_back([this, step] {
      perform(step);
      --pending_;
    });
  }
  void finish() {
    for (std::thread& thread : threads_)
      thread.join();
    threads_.clear();
  }
  std::uint64_t pending() const { return pending_; }
  std::uint64_t digests() const { return digests_; }

 private:
  void transfer(const Step& step) {
    const std::size_t bytes = step.count * block_bytes_;
    const std::unique_ptr<std::byte, FreeMemory> memory(
        static_cast<std::byte*>(std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment)));
    const auto offset = static_cast<off_t>(step.block * block_bytes_);
    const auto block = [&](std::uint64_t i) { return std::span(memory.get() + i * block_bytes_, block_bytes_); };
    if (step.verb == "read") {
      if (::pread(descriptor_, memory.get(), bytes, offset) != static_cast<ssize_t>(bytes)) fail("read");
      for (std::uint64_t i = 0; i < step.count; ++i)
        digests_ += wc::vm::digest(block(i), step.block + i);
      return;
    }
    for (std::uint64_t i = 0; i < step.count; ++i)
      wc::vm::fill_block(block(i), step.tag, step.block + i);
    const iovec vector{memory.get(), bytes};
    const int flags = step.verb == "fua" ? RWF_DSYNC : 0;
    if (::pwritev2(descriptor_, &vector, 1, offset, flags) != static_cast<ssize_t>(bytes)) fail("write");
  }

  const Mapper& mapper_;
  std::string name_;
  std::size_t block_bytes_;
  int descriptor_ = -1;
  std::vector<std::thread> threads_;
  std::atomic<std::uint64_t> pending_ = 0;
  std::atomic<std::uint64_t> digests_ = 0;
};

/// The commits that are on the medium, read past every cache.
class CommitCounter {
 public:
  explicit CommitCounter(const char* path) : descriptor_(::open(path, O_RDONLY | O_DIRECT | O_CLOEXEC)) {
    if (descriptor_ < 0) fail(path);
  }
  CommitCounter(const CommitCounter&) = delete;
  CommitCounter& operator=(const CommitCounter&) = delete;
  ~CommitCounter() { ::close(descriptor_); }

  std::uint64_t count() {
    if (::pread(descriptor_, memory_.data(), memory_.size(), 0) != static_cast<ssize_t>(memory_.size())) {
      fail("superblock");
    }
    return wc::vm::commits_of(memory_);
  }

 private:
  int descriptor_;
  alignas(kAlignment) std::array<std::byte, kAlignment> memory_{};
};

/// Word by word, where `*` agrees with everything.
bool agrees(const std::string& seen, const std::string& expected) {
  std::istringstream left(seen);
  std::istringstream right(expected);
  std::string a;
  std::string b;
  while (right >> b) {
    if (!(left >> a) || (b != "*" && a != b)) return false;
  }
  return !(left >> a);
}

class Replay {
 public:
  Replay(const char* name, const char* hold_name, const char* cache, std::size_t block_bytes)
      : name_(name), hold_name_(hold_name), commits_(cache), requests_(mapper_, name, block_bytes) {}

  void run(const Step& step) {
    if (step.verb == "wait") {
      std::this_thread::sleep_for(std::chrono::milliseconds(step.block));
    } else if (step.verb == "suspend") {
      mapper_.suspend(name_, false);
      is_suspended_ = true;
    } else if (step.verb == "resume") {
      mapper_.resume(name_);
      is_suspended_ = false;
    } else if (step.verb == "hold") {
      mapper_.suspend(hold_name_, true);
      is_holding_ = true;
    } else if (step.verb == "release") {
      mapper_.resume(hold_name_);
      requests_.finish();
      is_holding_ = false;
    } else if (is_holding_) {
      requests_.start(step);
    } else {
      requests_.perform(step);
    }
  }
  /// The line of now, once it agrees or time is up.
  std::string settle(const std::string& expected, std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
      const Numbers numbers = mapper_.status(name_);
      const std::string line = wc::vm::result_line(numbers, commits_.count(), requests_.pending(), requests_.digests());
      if (agrees(line, expected) || std::chrono::steady_clock::now() > deadline) return line;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  /// Lets everything end that a difference may have left behind.
  void end() {
    if (is_holding_) mapper_.resume(hold_name_);
    if (is_suspended_) mapper_.resume(name_);
    requests_.finish();
  }

 private:
  Mapper mapper_;
  const char* name_;
  const char* hold_name_;
  CommitCounter commits_;
  Requests requests_;
  bool is_holding_ = false;
  bool is_suspended_ = false;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 8) {
    std::fputs("replay_driver WC HOLD CACHE SCRIPT EXPECTED RESULT BLOCK_BYTES\n", stderr);
    return 16;
  }
  const std::vector<Step> steps = wc::vm::read_script(arguments[4]);
  std::ifstream expected(arguments[5]);
  std::ofstream result(arguments[6]);
  Replay replay(arguments[1], arguments[2], arguments[3], static_cast<std::size_t>(std::atol(arguments[7])));
  std::chrono::milliseconds patience = kPatience;
  std::size_t steps_left = steps.size();
  for (const Step& step : steps) {
    if (steps_left-- == 0) break;
    std::string wanted;
    if (!std::getline(expected, wanted)) fail("fewer expected lines than steps");
    replay.run(step);
    const std::string line = replay.settle(wanted, patience);
    result << line << std::endl;  // a driver that hangs leaves what came before
    if (!agrees(line, wanted) && patience != kPatienceLater) {
      patience = kPatienceLater;
      steps_left = std::min(steps_left, kStepsAfterDifference);
    }
  }
  replay.end();
  if (!result.flush()) fail(arguments[6]);
  return 0;
}
