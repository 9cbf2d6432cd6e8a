// SPDX-License-Identifier: LGPL-2.1-or-later
// The undo log as a regular file: appended with plain writes, durable through fdatasync.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "device/lock.hpp"
#include "device/open.hpp"

namespace wc {
namespace {

class UndoFile final : public UndoLog {
 public:
  UndoFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::uint64_t> size_bytes() override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) return failure("does not tell its size");
    return static_cast<std::uint64_t>(status.st_size);
  }

  Result<void> read(std::uint64_t offset_bytes, std::span<std::byte> memory) override {
    while (!memory.empty()) {
      const ssize_t got = ::pread(fd_.get(), memory.data(), memory.size(), static_cast<off_t>(offset_bytes));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failure("cannot be read");
      if (got == 0) return device_error(ErrorCode::io, 0, path_, "ends before what was asked for");
      memory = memory.subspan(static_cast<std::size_t>(got));
      offset_bytes += static_cast<std::uint64_t>(got);
    }
    return {};
  }

  Result<void> append(std::span<const std::byte> data) override {
    auto end_bytes = size_bytes();
    if (!end_bytes) return end_bytes.error();
    while (!data.empty()) {
      const ssize_t put = ::pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(*end_bytes));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return failure("cannot be written");
      data = data.subspan(static_cast<std::size_t>(put));
      *end_bytes += static_cast<std::uint64_t>(put);
    }
    return {};
  }

  Result<void> truncate(std::uint64_t size_bytes) override {
    int outcome = 0;
    do {
      outcome = ::ftruncate(fd_.get(), static_cast<off_t>(size_bytes));
    } while (outcome != 0 && errno == EINTR);
    if (outcome != 0) return failure("cannot be shortened");
    return {};
  }

  Result<void> sync() override {
    int outcome = 0;
    do {
      outcome = ::fdatasync(fd_.get());
    } while (outcome != 0 && errno == EINTR);
    if (outcome != 0) return failure("cannot be made durable");
    return {};
  }

 private:
  Error failure(const char* what) const {
    const int os_errno = errno;
    const bool is_full = os_errno == ENOSPC || os_errno == EDQUOT || os_errno == EFBIG;
    return device_error(is_full ? ErrorCode::no_space : ErrorCode::io, os_errno, path_, what);
  }

  UniqueFd fd_;
  std::string path_;
};

constexpr mode_t kOwnerOnly = S_IRUSR | S_IWUSR;

/// Makes the name of a new file durable. A repair must not outlive the file that undoes it.
Result<void> sync_directory_of(const std::string& path) {
  std::filesystem::path directory = std::filesystem::path(path).parent_path();
  if (directory.empty()) directory = ".";
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // EINVAL: a file system that has nothing to sync there.
  if (!fd || (::fsync(fd.get()) != 0 && errno != EINVAL))
    return device_error(ErrorCode::io, errno, path, "its directory cannot be made durable");
  return {};
}

Result<UniqueFd> open_regular_file(const std::string& path, UndoFileMode mode) {
  // Looked at before it is opened, so that a FIFO or a tape is not even touched.
  struct stat status {};
  const bool is_there = ::stat(path.c_str(), &status) == 0;
  if (!is_there && (errno != ENOENT || mode == UndoFileMode::read))
    return device_error(code_of_open_errno(errno), errno, path, "cannot be opened");
  const int flags = (mode == UndoFileMode::save ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  if (!is_there || S_ISREG(status.st_mode)) {
    UniqueFd fd(::open(path.c_str(), flags, kOwnerOnly));
    if (!fd) return device_error(code_of_open_errno(errno), errno, path, "cannot be opened");
    if (::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode)) return fd;
  }
  return device_error(ErrorCode::invalid_argument, 0, path, "is not a regular file (an undo log needs one)");
}

}  // namespace

Result<std::unique_ptr<UndoLog>> open_undo_file(const std::string& path, UndoFileMode mode) {
  auto fd = open_regular_file(path, mode);
  if (!fd) return fd.error();
  const LockMode lock = mode == UndoFileMode::save ? LockMode::exclusive : LockMode::shared;
  if (auto locked = lock_file(SystemRoots{}, fd->get(), path, lock); !locked) return locked.error();
  if (mode == UndoFileMode::save)
    if (auto synced = sync_directory_of(path); !synced) return synced.error();
  return std::unique_ptr<UndoLog>(std::make_unique<UndoFile>(std::move(*fd), path));
}

}  // namespace wc
