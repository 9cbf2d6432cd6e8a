// SPDX-License-Identifier: LGPL-2.1-or-later
// PendingFile: the log of uncommitted blocks in memory that outlives a killed process.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "writecache/pending_log.hpp"
#include "writecache/result.hpp"

namespace wc::tools {

/// Two files on a file system in memory, one for even and one for odd numbers of commits: the one is begun anew when
/// the commit of its last number is over. Every step leaves a log that can be read, wherever SIGKILL comes.
class PendingFile final : public PendingLog {
 public:
  /// What a process before us left at `path`: see left(). Errors: not_found (there is nothing, or it
  /// is from before the machine's last start), damaged (memory ran out while it was written), io.
  static Result<std::unique_ptr<PendingFile>> reopen(const std::string& path);
  /// An empty one. Errors: io, no_space, permission.
  static Result<std::unique_ptr<PendingFile>> create(const std::string& path);
  ~PendingFile() override;
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

  void add(const PendingBlock& block) noexcept override;
  std::vector<PendingBlock> left() const override;
  void taken_over(Sequence sequence) noexcept override;
  /// After an orderly end: there is nothing to bring back.
  void remove() noexcept;
  static void remove(const std::string& path) noexcept { PendingFile(path).remove(); }

 private:
  struct Header;
  struct Record;
  /// One file, mapped.
  struct Part {
    std::string path;
    int fd = -1;
    std::byte* memory = nullptr;
    std::size_t bytes = 0;

    Header& header() const noexcept;
    Record* records() const noexcept;
    std::size_t capacity() const noexcept;
    bool grow(std::size_t wanted_bytes) noexcept;
    void begin(std::uint64_t sequence) noexcept;
  };

  explicit PendingFile(const std::string& path);
  Result<void> open_parts(int flags);

  std::array<Part, 2> parts_;
};

}  // namespace wc::tools
