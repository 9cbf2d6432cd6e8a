// SPDX-License-Identifier: LGPL-2.1-or-later
// ControlSocket: clients of a unix socket, none of which can hold up another.
#include "wc-run/control_socket.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>

#include "wc-run/unix_socket.hpp"

namespace wc::tools {
namespace {

constexpr std::size_t kClientsMax = 128;
constexpr std::size_t kLineMax = 256;
constexpr std::uint64_t kPatienceNs = 10'000'000'000;
constexpr std::uint64_t kNsPerMs = 1'000'000;

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

void signal_event(int fd) {
  const std::uint64_t one = 1;
  static_cast<void>(::write(fd, &one, sizeof one) < 0);
}

}  // namespace

ControlSocket::Replies::~Replies() {
  if (wake_fd >= 0) ::close(wake_fd);
}

void ControlSocket::Replies::add(ClientId id, std::string text) {
  const std::scoped_lock lock(mutex);
  texts.emplace_back(id, std::move(text));
  signal_event(wake_fd);
}

ControlSocket::~ControlSocket() {
  if (thread_.joinable()) {
    signal_event(stop_fd_);
    thread_.join();
  }
  for (const auto& [id, client] : clients_)
    ::close(client.fd);
  if (listen_fd_ >= 0) {
    ::unlink(path_.c_str());
    ::close(listen_fd_);
  }
  if (stop_fd_ >= 0) ::close(stop_fd_);
}

Result<void> ControlSocket::listen(const std::string& path) {
  auto listening = listen_unix(path);
  if (!listening) return listening.error();
  path_ = path;
  listen_fd_ = *listening;
  return {};
}

Result<void> ControlSocket::start() {
  stop_fd_ = ::eventfd(0, EFD_CLOEXEC);
  replies_->wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_fd_ < 0 || replies_->wake_fd < 0) return Error{ErrorCode::io, errno, 0, "no eventfd"};
  sigset_t all;
  sigset_t old;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &old);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
  return {};
}

void ControlSocket::run() {
  std::vector<pollfd> fds;
  std::vector<ClientId> ids;
  for (;;) {
    fds.assign({{stop_fd_, POLLIN, 0}, {replies_->wake_fd, POLLIN, 0}, {listen_fd_, POLLIN, 0}});
    ids.clear();
    for (const auto& [id, client] : clients_) {
      const int events = !client.output.empty() ? POLLOUT : client.has_asked ? 0 : POLLIN;
      fds.push_back({client.fd, static_cast<short>(events), 0});
      ids.push_back(id);
    }
    if (::poll(fds.data(), fds.size(), timeout_ms()) < 0 && errno != EINTR) return;
    if (fds[1].revents != 0) take_replies();
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (fds[i + 3].revents != 0) serve(ids[i], fds[i + 3].revents);
    drop_late();
    if (fds[2].revents != 0) accept_clients();
    if (fds[0].revents != 0) {
      take_replies();  // whoever asked to stop still hears how it went
      for (auto& [id, client] : clients_)
        write_reply(client);
      return;
    }
  }
}

int ControlSocket::timeout_ms() {
  std::uint64_t first_ns = UINT64_MAX;
  for (const auto& [id, client] : clients_)
    first_ns = std::min(first_ns, client.deadline_ns);
  if (first_ns == UINT64_MAX) return -1;
  const std::uint64_t now = now_ns();
  return first_ns <= now ? 0 : static_cast<int>((first_ns - now) / kNsPerMs + 1);
}

void ControlSocket::accept_clients() {
  const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    // Without descriptors somebody has to go, or this would spin.
    if (errno == EMFILE || errno == ENFILE) drop_oldest_silent();
    return;
  }
  if (clients_.size() >= kClientsMax) drop_oldest_silent();
  if (clients_.size() >= kClientsMax) {
    ::close(fd);
    return;
  }
  Client& client = clients_[next_id_++];
  client.fd = fd;
  client.deadline_ns = now_ns() + kPatienceNs;
}

void ControlSocket::drop(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  ::close(found->second.fd);
  clients_.erase(found);
}

/// Whoever waits for an answer stays.
void ControlSocket::drop_oldest_silent() {
  const auto silent =
      std::find_if(clients_.begin(), clients_.end(), [](const auto& entry) { return !entry.second.has_asked; });
  if (silent != clients_.end()) drop(silent->first);
}

void ControlSocket::drop_late() {
  const std::uint64_t now = now_ns();
  std::vector<ClientId> late;
  for (const auto& [id, client] : clients_)
    if (client.deadline_ns <= now) late.push_back(id);
  for (const ClientId id : late)
    drop(id);
}

void ControlSocket::serve(ClientId id, short events) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = found->second;
  if (client.has_asked) {
    const bool has_gone = (events & (POLLERR | POLLHUP)) != 0 && client.output.empty();
    if (has_gone || !write_reply(client)) drop(id);
    return;
  }
  if (!read_line(client)) {
    drop(id);
    return;
  }
  if (client.has_asked) ask(id, client.input);
}

/// False when there will be no line.
bool ControlSocket::read_line(Client& client) {
  std::array<char, kLineMax> buffer{};
  const ssize_t count = ::recv(client.fd, buffer.data(), buffer.size(), 0);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) return false;
  client.input.append(buffer.data(), static_cast<std::size_t>(count));
  const std::size_t end = client.input.find('\n');
  if (end == std::string::npos) return client.input.size() < kLineMax;
  client.input.resize(end);
  client.has_asked = true;
  client.deadline_ns = UINT64_MAX;  // a flush may take hours
  return true;
}

/// False when the connection is over.
bool ControlSocket::write_reply(Client& client) {
  while (!client.output.empty()) {
    const ssize_t count = ::send(client.fd, client.output.data(), client.output.size(), MSG_NOSIGNAL);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    client.output.erase(0, static_cast<std::size_t>(count));
    if (client.output.empty()) return false;
  }
  return true;
}

void ControlSocket::ask(ClientId id, const std::string& line) {
  loop_.post([id, line, replies = replies_, stop_server = stop_server_](EngineLoop& loop) {
    answer_control_line(loop, line, stop_server,
                        [id, replies](std::string text) { replies->add(id, std::move(text)); });
  });
}

void ControlSocket::take_replies() {
  std::vector<std::pair<ClientId, std::string>> texts;
  {
    const std::scoped_lock lock(replies_->mutex);
    std::uint64_t count = 0;
    static_cast<void>(::read(replies_->wake_fd, &count, sizeof count) < 0);
    texts.swap(replies_->texts);
  }
  for (auto& [id, text] : texts) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) continue;
    found->second.output = std::move(text);
    found->second.deadline_ns = now_ns() + kPatienceNs;
  }
}

}  // namespace wc::tools
