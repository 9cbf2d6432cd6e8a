// SPDX-License-Identifier: LGPL-2.1-or-later
// NbdkitProcess: fork and exec, the pipe on which the plugin reports.
#include "wc-run/nbdkit_process.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>

namespace wc::tools {
namespace {

namespace fs = std::filesystem;

constexpr int kExecFailed = 127;

/// The plugin that was installed, or built, together with this program; else nbdkit looks for one itself.
std::string plugin_path() {
  std::error_code failure;
  const fs::path self = fs::read_symlink("/proc/self/exe", failure);
  if (failure) return "writecache";
  const fs::path beside = self.parent_path().parent_path() / WC_LIBDIR / "nbdkit/plugins/nbdkit-writecache-plugin.so";
  return fs::exists(beside, failure) ? beside.string() : "writecache";
}

std::vector<std::string> command_words(const ServerSettings& settings, const NbdAddress& address,
                                       const std::vector<std::string>& extra_words) {
  std::vector<std::string> words{"nbdkit", "--foreground", "--newstyle"};
  if (address.path.empty()) {
    words.insert(words.end(), {"--ipaddr", address.host, "--port", address.port});
  } else {
    words.insert(words.end(), {"--unix", address.path});
  }
  words.insert(words.end(), extra_words.begin(), extra_words.end());
  words.push_back(plugin_path());
  const std::vector<std::string> keys = settings.words();
  words.insert(words.end(), keys.begin(), keys.end());
  return words;
}

/// In the child, between fork and exec: only what is safe there.
[[noreturn]] void become(char* const* argv, pid_t parent) {
  // Killed together with us: a server that nobody looks after would keep the cache.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kExecFailed);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null_fd = ::open("/dev/null", O_RDWR);
  if (null_fd >= 0) {
    ::dup2(null_fd, STDIN_FILENO);
    ::dup2(null_fd, STDOUT_FILENO);
  }
  ::execvp(argv[0], argv);
  ::_exit(kExecFailed);
}

}  // namespace

NbdkitProcess::~NbdkitProcess() {
  if (child_ > 0) {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  if (report_fd_ >= 0) ::close(report_fd_);
}

Result<void> NbdkitProcess::start(ServerSettings settings, const NbdAddress& address,
                                  const std::vector<std::string>& extra_words) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error{ErrorCode::io, errno, 0, "no pipe"};
  report_fd_ = ends[0];
  ::fcntl(report_fd_, F_SETFL, O_NONBLOCK);
  settings.report_fd = ends[1];
  std::vector<std::string> words = command_words(settings, address, extra_words);
  std::vector<char*> argv;
  for (std::string& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);

  const pid_t parent = ::getpid();
  child_ = ::fork();
  if (child_ == 0) {
    ::fcntl(ends[1], F_SETFD, 0);
    become(argv.data(), parent);
  }
  const int fork_errno = errno;
  ::close(ends[1]);
  if (child_ < 0) return Error{ErrorCode::io, fork_errno, 0, "nbdkit cannot be started"};
  return {};
}

std::optional<std::string> NbdkitProcess::next_report(bool& is_over) {
  is_over = false;
  for (;;) {
    if (const std::size_t end = reports_.find('\n'); end != std::string::npos) {
      std::string line = reports_.substr(0, end);
      reports_.erase(0, end + 1);
      return line;
    }
    std::array<char, 4096> buffer{};
    const ssize_t count = ::read(report_fd_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    is_over = count == 0;
    if (count <= 0) return std::nullopt;
    reports_.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

std::optional<int> NbdkitProcess::poll_exit() {
  int status = 0;
  if (child_ <= 0 || ::waitpid(child_, &status, WNOHANG) != child_) return std::nullopt;
  child_ = -1;
  return status;
}

void NbdkitProcess::send_signal(int signal) const {
  if (child_ > 0) ::kill(child_, signal);
}

}  // namespace wc::tools
