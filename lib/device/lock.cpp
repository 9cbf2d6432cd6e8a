// SPDX-License-Identifier: LGPL-2.1-or-later
// Advisory locks with flock, whose holder /proc/locks names, and a look at the locks of others.
#include "device/lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace wc {
namespace {

std::string describe_lock_owner(const SystemRoots& roots, int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return "another process";
  const DeviceNumber device = DeviceNumber::of(status.st_dev);
  for (const FileLock& lock : parse_locks(read_kernel_file(roots.proc / "locks")))
    if (lock.kind == "FLOCK" && lock.device == device && lock.inode == status.st_ino && lock.pid > 0)
      return lock.pid == ::getpid() ? "this process" : describe_process(roots, lock.pid);
  return "another process";
}

Error busy(const std::string& path, const std::string& owner) {
  return Error{ErrorCode::busy, 0, 0, path + ": is locked by " + owner + " (wait until that has finished with it)"};
}

/// Virtual machines mark the images they run on with record locks, which do not collide with flock.
std::optional<std::string> find_record_lock(const SystemRoots& roots, int fd) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return std::nullopt;
  return lock.l_pid > 0 ? describe_process(roots, lock.l_pid) : "another program, perhaps a virtual machine";
}

}  // namespace

Result<void> lock_file(const SystemRoots& roots, int fd, const std::string& path, LockMode mode) {
  int outcome = 0;
  do {
    outcome = ::flock(fd, (mode == LockMode::exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
  } while (outcome != 0 && errno == EINTR);
  if (outcome != 0 && errno == EWOULDBLOCK) return busy(path, describe_lock_owner(roots, fd));
  // Who only reads goes without where there are no locks: no writer of ours could take one either.
  if (outcome != 0 && mode == LockMode::exclusive)
    return Error{ErrorCode::unsupported, errno, 0, path + ": cannot be locked (copy it to a local file system)"};
  if (const auto owner = find_record_lock(roots, fd)) return busy(path, *owner);
  return {};
}

}  // namespace wc
