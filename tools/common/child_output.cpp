// SPDX-License-Identifier: LGPL-2.1-or-later
// child_output: posix_spawn, and both pipes read until they end.
#include "common/child_output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace wc::tools {
namespace {

constexpr std::size_t kOutputBytesMax = std::size_t{16} << 20;
constexpr const char* kDefaultPath = "/usr/sbin:/usr/bin:/sbin:/bin";

std::string variable(const std::string& name, const std::string& otherwise) {
  const char* const value = std::getenv(name.c_str());
  return name + "=" + (value == nullptr ? otherwise : value);
}

std::vector<std::string> environment_of_child(const std::vector<std::string>& kept_variables) {
  std::vector<std::string> variables{variable("PATH", kDefaultPath), "LC_ALL=C"};
  for (const std::string& name : kept_variables)
    if (std::getenv(name.c_str()) != nullptr) variables.push_back(variable(name, {}));
  return variables;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts)
    pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

class Pipe {
 public:
  Pipe() { is_open_ = ::pipe2(ends_.data(), O_CLOEXEC) == 0; }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  bool is_open() const noexcept { return is_open_; }
  int read_end() const noexcept { return ends_[0]; }
  int write_end() const noexcept { return ends_[1]; }
  void close_end(std::size_t end) noexcept {
    if (is_open_ && ends_[end] >= 0) ::close(ends_[end]);
    ends_[end] = -1;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
  bool is_open_ = false;
};

/// What the child gets: its three streams, no signal blocked or ignored that we ignore.
class SpawnSettings {
 public:
  SpawnSettings(int out, int err) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, out, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, err, STDERR_FILENO);
    ::posix_spawnattr_init(&attributes_);
    sigset_t defaults;
    ::sigemptyset(&defaults);
    ::sigaddset(&defaults, SIGPIPE);
    ::sigaddset(&defaults, SIGXFSZ);
    ::posix_spawnattr_setsigdefault(&attributes_, &defaults);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  const posix_spawn_file_actions_t* actions() const noexcept { return &actions_; }
  const posix_spawnattr_t* attributes() const noexcept { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// Reads what is there. False once the stream has ended.
bool read_some(int fd, std::string& text) {
  std::array<char, 65536> buffer{};
  const ssize_t count = ::read(fd, buffer.data(), buffer.size());
  if (count < 0) return errno == EINTR;
  text.append(buffer.data(), static_cast<std::size_t>(count));
  return count > 0;
}

/// Reads both streams to their end. False where the child prints without end.
bool read_both(int out, int err, ChildOutput& output) {
  std::array<pollfd, 2> streams{pollfd{out, POLLIN, 0}, pollfd{err, POLLIN, 0}};
  const std::array<std::string*, 2> texts{&output.out, &output.err};
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    if (::poll(streams.data(), streams.size(), -1) < 0 && errno != EINTR) return false;
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (streams[i].fd < 0 || streams[i].revents == 0) continue;
      if (!read_some(streams[i].fd, *texts[i])) streams[i].fd = -1;
      if (texts[i]->size() > kOutputBytesMax) return false;
    }
  }
  return true;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<ChildOutput> child_output(const std::vector<std::string>& words,
                                 const std::vector<std::string>& kept_variables) {
  Pipe out;
  Pipe err;
  if (!out.is_open() || !err.is_open()) return Error{ErrorCode::io, errno, 0, "no pipe"};
  std::vector<std::string> arguments = words;
  std::vector<std::string> variables = environment_of_child(kept_variables);
  const SpawnSettings settings(out.write_end(), err.write_end());
  pid_t child = -1;
  const int failure = ::posix_spawnp(&child, words.front().c_str(), settings.actions(), settings.attributes(),
                                     pointers_to(arguments).data(), pointers_to(variables).data());
  if (failure != 0) {
    return Error{failure == ENOENT ? ErrorCode::not_found : ErrorCode::io, failure, 0,
                 "`" + words.front() + "` cannot be run"};
  }
  out.close_end(1);
  err.close_end(1);
  ChildOutput output;
  const bool is_whole = read_both(out.read_end(), err.read_end(), output);
  if (!is_whole) ::kill(child, SIGKILL);
  output.status = wait_for(child);
  if (!is_whole) return Error{ErrorCode::no_space, 0, 0, "`" + words.front() + "` printed too much to be read"};
  return output;
}

}  // namespace wc::tools
