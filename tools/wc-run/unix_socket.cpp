// SPDX-License-Identifier: LGPL-2.1-or-later
// Unix sockets by path.
#include "wc-run/unix_socket.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace wc::tools {
namespace {

constexpr int kBacklog = 128;

Error socket_error(const std::string& path, const std::string& what) {
  return Error{ErrorCode::io, errno, 0, path + ": " + what};
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Error{
        ErrorCode::invalid_argument, 0, 0,
        path + ": is too long for a unix socket (at most " + std::to_string(sizeof address.sun_path - 1) + " bytes)"};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int connect_to(int fd, const sockaddr_un& address) {
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

Result<std::string> exchange(int fd, const std::string& path, const std::string& line,
                             const std::function<bool()>& is_cancelled) {
  const std::string text = line + "\n";
  if (::send(fd, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
    return socket_error(path, "cannot be asked");
  }
  std::string reply;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (count == 0) return reply;
    if (count > 0) {
      reply.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      return socket_error(path, "does not answer");
    } else if (is_cancelled && is_cancelled()) {
      return Error{ErrorCode::cancelled, 0, 0, "not waited for any longer; what was asked for goes on"};
    }
  }
}

}  // namespace

Result<void> remove_stale_socket(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return address.error();
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return {};
  if (!S_ISSOCK(status.st_mode)) return Error{ErrorCode::busy, 0, 0, path + ": is there and no socket"};
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return socket_error(path, "no socket");
  const bool is_stale = connect_to(fd, *address) != 0 && errno == ECONNREFUSED;
  ::close(fd);
  if (!is_stale) return Error{ErrorCode::busy, 0, 0, path + ": is served by somebody else (choose another)"};
  if (::unlink(path.c_str()) != 0) return socket_error(path, "cannot be replaced");
  return {};
}

Result<int> listen_unix(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return address.error();
  if (auto removed = remove_stale_socket(path); !removed) return removed.error();
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return socket_error(path, "no socket");
  // Never open to others, not even for a moment.
  const mode_t old_mask = ::umask(0177);
  const int bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  const int bind_errno = errno;
  ::umask(old_mask);
  errno = bind_errno;
  if (bound == 0 && ::listen(fd, kBacklog) == 0) return fd;
  Error error = socket_error(path, "cannot be listened on");
  ::close(fd);
  return error;
}

Result<std::string> ask_unix(const std::string& path, const std::string& line, int seconds,
                             const std::function<bool()>& is_cancelled) {
  const auto address = address_of(path);
  if (!address) return address.error();
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return socket_error(path, "no socket");
  const timeval patience{seconds, 0};  // 0: without end
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  Result<std::string> reply = std::string();
  if (connect_to(fd, *address) != 0) {
    const bool is_absent = errno == ENOENT || errno == ECONNREFUSED;
    reply = Error{is_absent ? ErrorCode::not_found : ErrorCode::io, errno, 0, path + ": nobody answers there"};
  } else {
    reply = exchange(fd, path, line, is_cancelled);
  }
  ::close(fd);
  return reply;
}

bool request_unix(const std::string& path, const std::string& line) {
  const auto address = address_of(path);
  if (!address) return false;
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const std::string text = line + "\n";
  const bool is_sent = connect_to(fd, *address) == 0 &&
                       ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return is_sent;
}

std::string runtime_directory() {
  const char* const base = std::getenv("XDG_RUNTIME_DIR");
  return base != nullptr && *base == '/' ? std::string(base) + "/writecache" : "/run/writecache";
}

Result<void> make_runtime_directory() {
  const std::string path = runtime_directory();
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  const bool is_forbidden = errno == EACCES || errno == EPERM || errno == EROFS;
  return Error{is_forbidden ? ErrorCode::permission : ErrorCode::io, errno, 0,
               path + ": cannot be made (set XDG_RUNTIME_DIR to a directory of yours)"};
}

Result<int> lock_name(const std::string& name) {
  const std::string path = runtime_directory() + "/" + name + ".lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return socket_error(path, "cannot be opened");
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  Error error = errno == EWOULDBLOCK ? Error{ErrorCode::busy, 0, 0,
                                             "the name `" + name +
                                                 "` is in use by another wc-run (see `wc-run ctl "
                                                 "--list`, or choose another with --name)"}
                                     : socket_error(path, "cannot be locked");
  ::close(fd);
  return error;
}

}  // namespace wc::tools
