// SPDX-License-Identifier: LGPL-2.1-or-later
// ServerProcess: fork, and the pipe on which the server reports.
#include "wc-run/server_process.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "common/error_words.hpp"
#include "common/text.hpp"

namespace wc::tools {
namespace {

void prepare_child(pid_t parent) {
  // Killed together with us: a server that nobody looks after would keep the cache.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null_fd = ::open("/dev/null", O_RDWR);
  if (null_fd >= 0) {
    ::dup2(null_fd, STDIN_FILENO);
    ::dup2(null_fd, STDOUT_FILENO);
  }
}

}  // namespace

ServerProcess::~ServerProcess() {
  if (child_ > 0) {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  if (report_fd_ >= 0) ::close(report_fd_);
}

Result<void> ServerProcess::start(const std::function<int(int report_fd)>& serve) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error{ErrorCode::io, errno, 0, "no pipe"};
  report_fd_ = ends[0];
  ::fcntl(report_fd_, F_SETFL, O_NONBLOCK);
  const pid_t parent = ::getpid();
  child_ = ::fork();
  if (child_ == 0) {
    prepare_child(parent);
    ::_exit(serve(ends[1]));
  }
  const int fork_errno = errno;
  ::close(ends[1]);
  if (child_ < 0) return Error{ErrorCode::io, fork_errno, 0, "the server cannot be started"};
  return {};
}

std::optional<std::string> ServerProcess::next_report(bool& is_over) {
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

std::optional<int> ServerProcess::poll_exit() {
  int status = 0;
  if (child_ <= 0 || ::waitpid(child_, &status, WNOHANG) != child_) return std::nullopt;
  child_ = -1;
  return status;
}

void ServerProcess::send_signal(int signal) const {
  if (child_ > 0) ::kill(child_, signal);
}

void send_report(int report_fd, const std::string& kind, const std::string& text) {
  const std::string line = kind + " " + printable(text) + "\n";
  static_cast<void>(::write(report_fd, line.data(), line.size()) < 0);
}

void send_report(int report_fd, const std::string& kind, const Error& error) {
  send_report(report_fd, kind + " " + to_string(error.code), error.message());
}

Error reported_error(const std::string& text) {
  const std::size_t blank = text.find(' ');
  const auto code = error_code_of(std::string_view(text).substr(0, blank));
  if (!code || blank == std::string::npos) return {ErrorCode::io, 0, 0, text};
  return {*code, 0, 0, text.substr(blank + 1)};
}

}  // namespace wc::tools
