// SPDX-License-Identifier: LGPL-2.1-or-later
// Pool: objects that are used again, so that the hot path allocates nothing.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace wc::engine {

/// Objects keep their state between release() and take(): who takes one sets what it needs.
template <class T>
class Pool {
 public:
  T& take() {
    if (free_.empty()) {
      all_.push_back(std::make_unique<T>());
      free_.reserve(all_.size());
      return *all_.back();
    }
    T* object = free_.back();
    free_.pop_back();
    return *object;
  }
  void release(T& object) noexcept { free_.push_back(&object); }
  std::size_t taken() const noexcept { return all_.size() - free_.size(); }

 private:
  std::vector<std::unique_ptr<T>> all_;
  std::vector<T*> free_;
};

/// A first-in first-out list of objects through their member `next`; an object is in one such list at most.
template <class T>
class Queue {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  T* front() const noexcept { return first_; }
  void push(T& object) noexcept {
    object.next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = &object;
    last_ = &object;
  }
  T* pop() noexcept {
    T* object = first_;
    if (object == nullptr) return nullptr;
    first_ = object->next;
    if (first_ == nullptr) last_ = nullptr;
    return object;
  }
  /// Everything, taken out; the order stays.
  Queue take_all() noexcept { return std::exchange(*this, Queue{}); }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
};

}  // namespace wc::engine
