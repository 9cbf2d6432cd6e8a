// SPDX-License-Identifier: LGPL-2.1-or-later
// SpinningMutex: for what is held for a microsecond or two, less than it takes to sleep and be woken.
#pragma once

#include <pthread.h>

namespace wc::tools {

/// As std::mutex; who finds it taken tries again for a moment before it sleeps.
class SpinningMutex {
 public:
  SpinningMutex() = default;
  ~SpinningMutex() { ::pthread_mutex_destroy(&mutex_); }
  SpinningMutex(const SpinningMutex&) = delete;
  SpinningMutex& operator=(const SpinningMutex&) = delete;

  void lock() noexcept { ::pthread_mutex_lock(&mutex_); }
  void unlock() noexcept { ::pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_ = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
};

}  // namespace wc::tools
