// SPDX-License-Identifier: LGPL-2.1-or-later
// OutputFile: a temporary file beside the target, renamed when it is durable.
#include "common/output_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <limits>
#include <optional>
#include <utility>

#include "common/files.hpp"

namespace wc::tools {
namespace {

Error error_of(int os_errno, std::string context) {
  ErrorCode code = ErrorCode::io;
  if (os_errno == ENOENT || os_errno == ENOTDIR) code = ErrorCode::not_found;
  if (os_errno == EACCES || os_errno == EPERM || os_errno == EROFS) code = ErrorCode::permission;
  if (os_errno == ENOSPC || os_errno == EDQUOT || os_errno == EFBIG) code = ErrorCode::no_space;
  return {code, os_errno, 0, std::move(context)};
}

Error refusal(std::string context) { return {ErrorCode::invalid_argument, 0, 0, std::move(context)}; }

std::string resolved(const std::string& path) {
  char* const real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;
  std::string out(real);
  std::free(real);
  return out;
}

// The modes of the file that is replaced, or what open(2) would have given a new one.
mode_t mode_of_new(const std::optional<struct stat>& old) noexcept {
  if (old) return old->st_mode & 0777U;
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666U & ~mask;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::unique_ptr<OutputFile>> OutputFile::create(const std::string& path, std::span<const std::string> sources) {
  std::unique_ptr<OutputFile> file(new OutputFile());
  file->path_ = resolved(path);
  std::optional<struct stat> old;
  struct stat status {};
  if (::stat(file->path_.c_str(), &status) == 0) {
    old = status;
    for (const std::string& source : sources) {
      if (is_same_file(file->path_, source)) {
        return refusal("the output would overwrite what is being read (name another file)");
      }
    }
    if (S_ISBLK(status.st_mode)) return refusal("the output is a block device (name a file)");
    if (S_ISDIR(status.st_mode)) return refusal("the output is a directory (name a file)");
    if (!S_ISREG(status.st_mode)) {
      file->fd_ = ::open(file->path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
      if (file->fd_ < 0) return error_of(errno, "cannot be opened for writing");
      return file;
    }
    if (::access(file->path_.c_str(), W_OK) != 0) return error_of(errno, "cannot be opened for writing");
  }
  std::string temporary = file->path_ + ".XXXXXX";
  file->fd_ = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (file->fd_ < 0) return error_of(errno, "cannot create a file in " + folder_of(file->path_));
  file->temporary_ = std::move(temporary);
  if (::fchmod(file->fd_, mode_of_new(old)) != 0) return file->failure("cannot set the access modes");
  return file;
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Error OutputFile::failure(const char* what) const { return error_of(errno, what); }

Result<void> OutputFile::write(std::span<const char> data) {
  while (!data.empty()) {
    const ssize_t written = ::write(fd_, data.data(), data.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return failure("cannot be written");
    }
    data = data.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> OutputFile::write_at(std::uint64_t offset_bytes, std::span<const char> data) {
  while (!data.empty()) {
    const ssize_t written = ::pwrite(fd_, data.data(), data.size(), static_cast<off_t>(offset_bytes));
    if (written < 0) {
      if (errno == EINTR) continue;
      return failure("cannot be written");
    }
    data = data.subspan(static_cast<std::size_t>(written));
    offset_bytes += static_cast<std::uint64_t>(written);
  }
  return {};
}

Result<void> OutputFile::set_size(std::uint64_t size_bytes) {
  if (size_bytes > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max())) {
    return error_of(EFBIG, "cannot be made as large as the device");
  }
  if (::ftruncate(fd_, static_cast<off_t>(size_bytes)) != 0) return failure("cannot be made as large as the device");
  return {};
}

Result<void> OutputFile::commit() {
  if (temporary_.empty()) {
    if (::close(std::exchange(fd_, -1)) != 0) return failure("cannot be written");
    return {};
  }
  if (::fsync(fd_) != 0) return failure("cannot be made durable");
  if (::close(std::exchange(fd_, -1)) != 0) return failure("cannot be written");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failure("cannot get its name");
  temporary_.clear();
  const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    // A folder that cannot be synced still holds a complete file, under the old name or the new one.
    static_cast<void>(::fsync(folder));
    ::close(folder);
  }
  return {};
}

}  // namespace wc::tools
