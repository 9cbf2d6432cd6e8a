// SPDX-License-Identifier: LGPL-2.1-or-later
// run_main: standard streams with known errors, signals, and the last net for exceptions.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <iostream>
#include <streambuf>
#include <vector>

#include "common/environment.hpp"
#include "common/exit_status.hpp"

namespace wc::tools {
namespace {

volatile std::sig_atomic_t g_cancelled = 0;

extern "C" void on_stop_signal(int) { g_cancelled = 1; }

/// Signals that were ignored when the program started (nohup, background jobs) stay ignored.
void install_signal_handlers() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction old {};
    if (::sigaction(signal, nullptr, &old) != 0 || old.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = on_stop_signal;
    action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second signal kills: a device may hang
    ::sigemptyset(&action.sa_mask);
    ::sigaction(signal, &action, nullptr);
  }
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigemptyset(&ignore.sa_mask);
  // What went wrong is the error of the write.
  for (const int signal : {SIGPIPE, SIGXFSZ})
    ::sigaction(signal, &ignore, nullptr);
}

/// Fills closed standard descriptors with ones on which the wrong direction fails.
void protect_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    const int opened = ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    if (opened != fd) ::_exit(kExitFailure);
  }
}

/// Writes to a descriptor in large pieces and remembers why it could not.
class DescriptorBuffer final : public std::streambuf {
 public:
  DescriptorBuffer(int fd, std::size_t capacity) : fd_(fd), buffer_(capacity) { reset(); }
  ~DescriptorBuffer() override { sync(); }
  DescriptorBuffer(const DescriptorBuffer&) = delete;
  DescriptorBuffer& operator=(const DescriptorBuffer&) = delete;

  int first_errno() const noexcept { return first_errno_; }

 protected:
  int overflow(int next) override {
    if (sync() != 0) return traits_type::eof();
    if (!traits_type::eq_int_type(next, traits_type::eof())) {
      *pptr() = traits_type::to_char_type(next);
      pbump(1);
    }
    return traits_type::not_eof(next);
  }

  std::streamsize xsputn(const char* data, std::streamsize count) override {
    if (count <= epptr() - pptr()) {
      std::memcpy(pptr(), data, static_cast<std::size_t>(count));
      pbump(static_cast<int>(count));
      return count;
    }
    if (sync() != 0) return 0;
    if (count >= static_cast<std::streamsize>(buffer_.size())) return write_all(data, count) ? count : 0;
    return std::streambuf::xsputn(data, count);
  }

  int sync() override {
    const bool written = write_all(pbase(), pptr() - pbase());
    reset();
    return written ? 0 : -1;
  }

 private:
  void reset() { setp(buffer_.data(), buffer_.data() + buffer_.size()); }

  /// After a failure nothing more is written: what follows a gap would mislead.
  bool write_all(const char* data, std::streamsize count) {
    while (count > 0 && first_errno_ == 0) {
      const ssize_t written = ::write(fd_, data, static_cast<std::size_t>(count));
      if (written >= 0) {
        data += written;
        count -= written;
      } else if (errno != EINTR) {
        first_errno_ = errno;
      }
    }
    return first_errno_ == 0;
  }

  int fd_;
  int first_errno_ = 0;
  std::vector<char> buffer_;
};

std::uint64_t monotonic_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

}  // namespace

int run_main(int argc, const char* const* argv, ToolMain tool_main) noexcept {
  protect_standard_descriptors();
  install_signal_handlers();
  try {
    constexpr std::size_t kOutputBufferBytes = std::size_t{64} << 10;
    DescriptorBuffer out_buffer(STDOUT_FILENO, kOutputBufferBytes);
    DescriptorBuffer err_buffer(STDERR_FILENO, kOutputBufferBytes);
    std::ostream out(&out_buffer);
    std::ostream err(&err_buffer);
    err.setf(std::ios::unitbuf);

    Environment environment(std::cin, out, err);
    environment.in_is_terminal = ::isatty(STDIN_FILENO) == 1;
    environment.out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
    environment.err_is_terminal = ::isatty(STDERR_FILENO) == 1;
    environment.out_errno = [&out_buffer] { return out_buffer.first_errno(); };
    environment.is_cancelled = [] { return g_cancelled != 0; };
    environment.now_ns = monotonic_ns;
    const int skipped = std::min(argc, 1);
    return tool_main(Arguments(argv + skipped, static_cast<std::size_t>(argc - skipped)), environment);
  } catch (const std::exception&) {
    // Only memory for the streams can be missing here: commands catch for themselves.
    constexpr std::array<char, 15> kText{"out of memory\n"};
    if (::write(STDERR_FILENO, kText.data(), kText.size() - 1) < 0) return kExitFailure;
    return kExitFailure;
  }
}

}  // namespace wc::tools
