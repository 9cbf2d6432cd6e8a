// SPDX-License-Identifier: LGPL-2.1-or-later
// ServerWatch: a loop over signals and the server's reports.
#include "wc-run/server_watch.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "wc-run/nbd_server.hpp"
#include "wc-run/unix_socket.hpp"

namespace wc::tools {
namespace {

constexpr int kAnswerSeconds = 5;
constexpr int kGraceMs = 500;
constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr std::size_t kRestartsMax = 20;  // in the time below
constexpr std::uint64_t kRestartsNs = 60 * kNsPerSecond;

}  // namespace

ServerWatch::~ServerWatch() {
  if (signal_fd_ >= 0) ::close(signal_fd_);
}

Result<void> ServerWatch::take_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD})
    ::sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal_fd_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signal_fd_ < 0) return Error{ErrorCode::io, errno, 0, "no signalfd"};
  return {};
}

int ServerWatch::run(const Start& start) {
  auto server = std::make_unique<ServerProcess>();
  if (auto started = start(*server, false); !started) return console_.fail({}, started.error());
  for (;;) {
    std::array<pollfd, 2> fds{{{signal_fd_, POLLIN, 0}, {are_reports_over_ ? -1 : server->report_fd(), POLLIN, 0}}};
    // nbdkit waits for idle clients to hang up; once the cache is closed they have nothing to wait for.
    const int ready_count = ::poll(fds.data(), fds.size(), has_stopped_ ? kGraceMs : -1);
    if (ready_count == 0) server->send_signal(SIGKILL);
    if (fds[1].revents != 0) take_reports(*server);
    if (fds[0].revents != 0) take_signal(*server);
    const auto wait_status = server->poll_exit();
    if (!wait_status) continue;
    take_reports(*server);
    if (!may_restart(*wait_status)) return exit_status(*wait_status);
    console_.warn(settings_.cache, "the server was killed by signal " + std::to_string(WTERMSIG(*wait_status)) +
                                       " and is started again; it takes over what had been acknowledged");
    server = std::make_unique<ServerProcess>();
    are_reports_over_ = false;
    if (auto started = start(*server, true); !started) return console_.fail({}, started.error());
  }
}

/// A server that served well until something killed it, and not all the time.
bool ServerWatch::may_restart(int wait_status) {
  if (!WIFSIGNALED(wait_status) || !is_ready_ || is_stopping_ || has_stopped_ || has_failed_) return false;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  restarts_ns_.push_back(static_cast<std::uint64_t>(now.tv_sec) * kNsPerSecond +
                         static_cast<std::uint64_t>(now.tv_nsec));
  if (restarts_ns_.size() <= kRestartsMax) return true;
  const bool is_often = restarts_ns_.back() - restarts_ns_.front() < kRestartsNs;
  restarts_ns_.pop_front();
  return !is_often;
}

void ServerWatch::take_reports(ServerProcess& server) {
  while (const auto line = server.next_report(are_reports_over_))
    on_report(*line);
}

void ServerWatch::on_report(const std::string& line) {
  const std::size_t blank = line.find(' ');
  const std::string kind = line.substr(0, blank);
  const std::string text = blank == std::string::npos ? std::string() : line.substr(blank + 1);
  if (kind == "ready") on_ready(text);
  if (kind == "stopped" || kind == "failed") has_stopped_ = true;
  if (kind == "error" || kind == "failed") {
    has_failed_ = true;
    Error error = reported_error(text);
    if (kind == "failed") error.context = "what was not flushed may be lost: " + error.context;
    console_.fail(settings_.cache, error);
  }
}

void ServerWatch::on_ready(const std::string& uri) {
  if (std::exchange(is_ready_, true)) return;
  console_.text("ready {}\n", uri);
  if (console_.options().json) {
    console_.print_json({{"uri", uri}, {"name", settings_.name}, {"control", settings_.control}});
  }
  console_.environment().out.flush();
  ::sd_notify(0, "READY=1");
}

void ServerWatch::take_signal(ServerProcess& server) {
  signalfd_siginfo info{};
  while (::read(signal_fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGUSR1) {
      print_status();
    } else if (info.ssi_signo != SIGCHLD) {
      begin_stop(server);
    }
  }
}

/// Through the control socket, so that all is committed before clients are cut off; by a signal where that fails or
/// on the second request.
void ServerWatch::begin_stop(ServerProcess& server) {
  ::sd_notify(0, "STOPPING=1");
  const bool is_first = !is_stopping_;
  is_stopping_ = true;
  if (!is_first || !is_ready_ || !request_unix(settings_.control, "stop")) server.send_signal(SIGTERM);
}

void ServerWatch::print_status() {
  const auto reply = ask_unix(settings_.control, "status", kAnswerSeconds);
  if (!reply || !reply->starts_with("ok\n")) {
    console_.error(settings_.cache, "does not tell its status");
    return;
  }
  console_.environment().err << reply->substr(3) << std::flush;
}

int ServerWatch::exit_status(int wait_status) {
  if (has_failed_) return kExitFailure;
  const bool is_fine = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
  if (has_stopped_ || (is_fine && is_ready_)) return kExitFine;
  if (is_fine && is_stopping_) return kExitCancelled;
  ErrorCode code = ErrorCode::io;
  std::string what = "the server ended before it was ready (its own words are above)";
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == kNoNbdkit) {
    code = ErrorCode::unsupported;
    what = "nbdkit cannot be started (is it installed?)";
  } else if (WIFSIGNALED(wait_status)) {
    what = "the server was killed by signal " + std::to_string(WTERMSIG(wait_status)) + "; what was flushed is safe";
  } else if (is_ready_) {
    what = "the server ended with status " + std::to_string(WEXITSTATUS(wait_status));
  }
  return console_.fail(settings_.cache, Error{code, 0, 0, what});
}

}  // namespace wc::tools
