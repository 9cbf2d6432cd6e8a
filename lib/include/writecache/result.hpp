// SPDX-License-Identifier: LGPL-2.1-or-later
// Result<T> and Error: how every operation of the library reports failure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "writecache/api.hpp"

namespace wc {

/// Why an operation failed. Damage of a cache is not a failure but a `Finding` (check.hpp).
enum class ErrorCode : std::uint8_t {
  io,                ///< a device answered with an error; `os_errno` says which
  no_space,          ///< the device or file is too small or full
  busy,              ///< mounted, held or locked by another; `context` says by whom
  permission,        ///< not allowed to open or write
  not_found,         ///< no such file, device or tag
  not_a_cache,       ///< the device holds no writecache, or something foreign
  damaged,           ///< the metadata are damaged in a way that forbids the operation
  dirty,             ///< the cache holds live blocks that the operation would destroy
  invalid_argument,  ///< an option or request that can never be right
  unsupported,       ///< this machine or file cannot do it
  cancelled,         ///< the Observer asked to stop; what was done so far is consistent
};

/// One failure: what happened, where, and the text for a human.
struct Error {
  ErrorCode code = ErrorCode::io;
  int os_errno = 0;                ///< errno of the system call, 0 where there was none
  std::uint64_t offset_bytes = 0;  ///< where on the device, 0 where it has no place
  std::string context;             ///< "what is wrong (what to do)", without the device's name

  /// The context followed by the system's words for `os_errno`, if any.
  WC_API std::string message() const;
};

/// Either a value or an Error, with the member names of std::expected.
/// Reading the wrong side is a bug and throws std::bad_variant_access.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error. `return {};` is success.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }
  const Error& error() const { return error_.value(); }

 private:
  std::optional<Error> error_;
};

}  // namespace wc
