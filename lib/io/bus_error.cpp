// SPDX-License-Identifier: LGPL-2.1-or-later
// The handler of SIGBUS, and the way out of it.
#include "io/bus_error.hpp"

#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <mutex>

namespace wc {
namespace {

thread_local sigjmp_buf* t_way_out = nullptr;
struct sigaction g_previous {};

extern "C" void on_bus_error(int signal) {
  if (t_way_out != nullptr) ::siglongjmp(*t_way_out, 1);
  // Not from a copy of ours.
  ::sigaction(SIGBUS, &g_previous, nullptr);
  ::raise(signal);
}

/// A thread that blocks every signal would be killed by a bus error all the same.
void unblock_bus_errors() noexcept {
  sigset_t bus_error;
  ::sigemptyset(&bus_error);
  ::sigaddset(&bus_error, SIGBUS);
  ::pthread_sigmask(SIG_UNBLOCK, &bus_error, nullptr);
}

/// Runs `copy`; false if it ended in the handler. `copy` owns nothing: it may be left in the middle.
template <class Copy>
bool guarded(const Copy& copy) noexcept {
  thread_local bool t_is_unblocked = false;
  if (!t_is_unblocked) {
    unblock_bus_errors();
    t_is_unblocked = true;
  }
  sigjmp_buf way_out;
  // The handler does not block its signal, so that there is no mask to save, which would take a system call.
  if (sigsetjmp(way_out, 0) != 0) {
    t_way_out = nullptr;
    return false;
  }
  t_way_out = &way_out;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  copy();
  std::atomic_signal_fence(std::memory_order_seq_cst);
  t_way_out = nullptr;
  return true;
}

}  // namespace

void catch_bus_errors() noexcept {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_handler = on_bus_error;
    action.sa_flags = SA_NODEFER;
    ::sigaction(SIGBUS, &action, &g_previous);
  });
}

bool copy_guarded(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
  return guarded([&] { std::memcpy(to, from, bytes); });
}

bool copy_guarded(std::byte* to, const std::byte* from, std::size_t bytes,
                  void* (*copy)(void* to, const void* from, std::size_t bytes, unsigned flags),
                  unsigned flags) noexcept {
  return guarded([&] { copy(to, from, bytes, flags); });
}

bool store_words_guarded(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
  return guarded([&] {
    for (std::size_t at = 0; at < bytes; at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, from + at, sizeof word);
      std::atomic_ref(*reinterpret_cast<std::uint64_t*>(to + at)).store(word, std::memory_order_release);
    }
  });
}

}  // namespace wc
