// SPDX-License-Identifier: LGPL-2.1-or-later
// Scratch directories, made-up trees of /sys and /proc, loop devices and child processes for the tests of lib/device.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace wc::test {

/// A directory that is gone afterwards.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "wc-device-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
    path_ = std::filesystem::canonical(name);
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

  /// Writes a file, with the directories it needs.
  std::string file(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }
  /// A sparse file.
  std::string image(const std::string& name, std::uint64_t bytes) const {
    file(name, "");
    std::filesystem::resize_file(path_ / name, bytes);
    return (path_ / name).string();
  }
  void link(const std::string& name, const std::string& target) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::filesystem::create_symlink(target, path_ / name);
  }

 private:
  std::filesystem::path path_;
};

/// What a shell command printed, or nothing when it failed.
inline std::string output_of(const std::string& command) {
  std::string text;
  std::FILE* pipe = ::popen((command + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return {};
  std::array<char, 256> line{};
  while (std::fgets(line.data(), static_cast<int>(line.size()), pipe) != nullptr)
    text += line.data();
  const int status = ::pclose(pipe);
  if (status != 0) return {};
  while (text.ends_with('\n'))
    text.pop_back();
  return text;
}

/// A loop device over an image; `path` is empty where this machine has none to give.
class LoopDevice {
 public:
  explicit LoopDevice(const std::string& image, const std::string& options = "")
      : path_(output_of("losetup --find --show " + options + " " + image)) {}
  ~LoopDevice() {
    if (!path_.empty()) output_of("losetup --detach " + path_);
  }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Another process that does something, says so, and waits until it is told to end.
class OtherProcess {
 public:
  template <class Work>
  explicit OtherProcess(Work work) {
    std::array<int, 2> ready{};
    std::array<int, 2> end{};
    if (::pipe(ready.data()) != 0 || ::pipe(end.data()) != 0) throw std::runtime_error("no pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(end[1]);
      const char answer = work() ? 'y' : 'n';
      char byte = 0;
      const bool told = ::write(ready[1], &answer, 1) == 1 && ::read(end[0], &byte, 1) >= 0;
      ::_exit(told ? 0 : 1);
    }
    ::close(ready[1]);
    ::close(end[0]);
    end_ = end[1];
    char answer = 'n';
    succeeded_ = ::read(ready[0], &answer, 1) == 1 && answer == 'y';
    ::close(ready[0]);
  }
  ~OtherProcess() { finish(); }
  OtherProcess(const OtherProcess&) = delete;
  OtherProcess& operator=(const OtherProcess&) = delete;

  bool succeeded() const { return succeeded_; }
  pid_t pid() const { return pid_; }
  void finish() {
    if (end_ < 0) return;
    ::close(end_);
    end_ = -1;
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
  int end_ = -1;
  bool succeeded_ = false;
};

}  // namespace wc::test
