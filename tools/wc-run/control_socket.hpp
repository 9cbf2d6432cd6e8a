// SPDX-License-Identifier: LGPL-2.1-or-later
// ControlSocket: the server behind `wc-run ctl`. One line asks, `ok` with text behind it or `error WHY` answers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "wc-run/engine_loop.hpp"

namespace wc::tools {

/// A thread of its own serves any number of clients; those that say nothing are dropped. Mode 0600.
class ControlSocket {
 public:
  using OnStopped = std::function<void(const Result<void>& outcome)>;
  /// What the verb `stop` does, as a task of the loop: ends the server in its own order, and calls `on_stopped` once
  /// all is committed, or could not be.
  using StopServer = std::function<void(EngineLoop& loop, OnStopped on_stopped)>;

  ControlSocket(EngineLoop& loop, StopServer stop_server)
      : replies_(std::make_shared<Replies>()), loop_(loop), stop_server_(std::move(stop_server)) {}
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  /// Listens at `path`; a socket there that nobody serves is replaced. Errors: busy, io, invalid_argument.
  Result<void> listen(const std::string& path);
  Result<void> start();  ///< after the last fork

 private:
  using ClientId = std::uint64_t;

  /// What the engine's thread answered. Outlives the socket where an answer comes late.
  struct Replies {
    std::mutex mutex;
    std::vector<std::pair<ClientId, std::string>> texts;  ///< guarded by mutex
    int wake_fd = -1;

    ~Replies();
    void add(ClientId id, std::string text);
  };

  struct Client {
    int fd = -1;
    std::string input;
    std::string output;
    std::uint64_t deadline_ns = 0;
    bool has_asked = false;  ///< the line is complete
  };

  void run();
  int timeout_ms();
  void accept_clients();
  void drop(ClientId id);
  void drop_oldest_silent();
  void drop_late();
  void serve(ClientId id, short events);
  bool read_line(Client& client);
  bool write_reply(Client& client);
  void ask(ClientId id, const std::string& line);
  void take_replies();

  std::shared_ptr<Replies> replies_;
  EngineLoop& loop_;
  StopServer stop_server_;
  std::string path_;
  int listen_fd_ = -1;
  int stop_fd_ = -1;
  std::thread thread_;
  std::map<ClientId, Client> clients_;  ///< the thread's own, oldest first
  ClientId next_id_ = 1;
};

/// Answers one line in the loop's thread; `answer` gets the whole reply, now or later.
void answer_control_line(EngineLoop& loop, const std::string& line, const ControlSocket::StopServer& stop_server,
                         const std::function<void(std::string)>& answer);

}  // namespace wc::tools
