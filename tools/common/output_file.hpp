// SPDX-License-Identifier: LGPL-2.1-or-later
// OutputFile: a file that appears under its name only once it is complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "writecache/result.hpp"

namespace wc::tools {

class OutputFile {
 public:
  /// Begins a file beside `path`; a regular file of that name stays until commit() replaces it. Pipes and
  /// character devices are written directly.
  /// `sources` are files or devices being read, resolved: none of them is ever written over.
  /// Errors: invalid_argument (a source, a block device, a directory), not_found, permission, no_space, io.
  static Result<std::unique_ptr<OutputFile>> create(const std::string& path, std::span<const std::string> sources);
  /// Without commit() nothing is left behind.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Appends. Errors: no_space, io.
  Result<void> write(std::span<const char> data);
  /// Writes anywhere; only where is_seekable().
  Result<void> write_at(std::uint64_t offset_bytes, std::span<const char> data);
  /// What was not written below `size_bytes` is a hole.
  Result<void> set_size(std::uint64_t size_bytes);
  bool is_seekable() const noexcept { return !temporary_.empty(); }
  /// Makes the content durable and gives it its name.
  Result<void> commit();

 private:
  OutputFile() = default;
  Error failure(const char* what) const;

  int fd_ = -1;
  std::string path_;       ///< with symbolic links resolved
  std::string temporary_;  ///< empty where `path_` is written directly, and after commit()
};

}  // namespace wc::tools
