// SPDX-License-Identifier: LGPL-2.1-or-later
// The production ports on files: io_uring buffered and direct, plain system calls, mapped memory.
#include "port/port_kinds.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "io/pmem2_port.hpp"
#include "io/pmem_block_port.hpp"
#include "io/sync_port.hpp"
#include "io/uring_port.hpp"

namespace wc::test {
namespace {

/// A file without a name that the case may also reach on its own.
UniqueFd make_file(std::uint64_t size_bytes) {
  std::string path = (std::filesystem::temp_directory_path() / "wc-port-XXXXXX").string();
  UniqueFd file(::mkstemp(path.data()));
  if (!file || ::unlink(path.c_str()) != 0 || ::ftruncate(file.get(), static_cast<off_t>(size_bytes)) != 0)
    throw std::runtime_error("cannot make a scratch file in " + path);
  return file;
}

UniqueFd open_again(const UniqueFd& file, int flags) {
  return UniqueFd(::open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), flags | O_CLOEXEC));
}

bool takes_512_bytes(const PortDevice& device) {
  alignas(kIoAlignmentBytes) std::array<std::byte, 512> memory;
  return device.info.present && ::pread(device.fd.get(), memory.data(), memory.size(), 512) >= 0;
}

class PortOnFiles final : public PortUnderTest {
 public:
  explicit PortOnFiles(const PortSetup& setup) : setup_(setup) {
    for (UniqueFd& file : files_)
      file = make_file(setup.window_offset_bytes + setup.size_bytes);
  }

  IoPort& port() override { return *port_; }

  bool cut_medium(DeviceId device, std::uint64_t window_bytes_left) override {
    const auto bytes = static_cast<off_t>(setup_.window_offset_bytes + window_bytes_left);
    return ::ftruncate(file(device).get(), bytes) == 0;
  }

  std::vector<std::byte> medium(DeviceId device) override {
    std::vector<std::byte> bytes(setup_.window_offset_bytes + setup_.size_bytes);
    const ssize_t got = ::pread(file(device).get(), bytes.data(), bytes.size(), 0);
    bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return bytes;
  }

  /// The devices as lib/device would hand them over; not present where they cannot be opened so.
  PortDevices devices(bool direct) {
    PortDevices opened;
    opened.cache = opened_device(DeviceId::cache, direct);
    if (setup_.has_origin) opened.origin = opened_device(DeviceId::origin, direct);
    return opened;
  }

  UniqueFd reopen(DeviceId device, int flags) { return open_again(file(device), flags); }
  void set_port(std::unique_ptr<IoPort> port) { port_ = std::move(port); }
  const PortSetup& setup() const { return setup_; }

 private:
  UniqueFd& file(DeviceId device) { return files_[static_cast<std::size_t>(device)]; }

  PortDevice opened_device(DeviceId id, bool direct) {
    PortDevice device;
    device.fd = reopen(id, (setup_.writable ? O_RDWR : O_RDONLY) | (direct ? O_DIRECT : 0));
    device.is_direct = direct;
    if (!direct) device.info.memory_alignment_bytes = 1;
    device.info.present = static_cast<bool>(device.fd);
    device.info.writable = setup_.writable;
    device.info.size_bytes = setup_.size_bytes;
    device.info.window_offset_bytes = setup_.window_offset_bytes;
    return device;
  }

  PortSetup setup_;
  std::array<UniqueFd, 2> files_;
  std::unique_ptr<IoPort> port_;
};

std::unique_ptr<PortUnderTest> make_uring_on(const PortSetup& setup, bool direct, std::string& why_not) {
  auto made = std::make_unique<PortOnFiles>(setup);
  PortDevices devices = made->devices(direct);
  if (direct && !takes_512_bytes(devices.cache)) {
    why_not = "the file system of the temporary directory has no O_DIRECT in blocks of 512 bytes";
    return nullptr;
  }
  auto port = UringPort::create(devices);
  if (!port) {
    why_not = port.error().message();
    return nullptr;
  }
  made->set_port(std::move(*port));
  return made;
}

std::unique_ptr<PortUnderTest> make_uring(const PortSetup& setup, std::string& why_not) {
  return make_uring_on(setup, false, why_not);
}

std::unique_ptr<PortUnderTest> make_uring_direct(const PortSetup& setup, std::string& why_not) {
  return make_uring_on(setup, true, why_not);
}

std::unique_ptr<PortUnderTest> make_sync(const PortSetup& setup, std::string& /*why_not*/) {
  auto made = std::make_unique<PortOnFiles>(setup);
  made->set_port(std::make_unique<SyncPort>(made->devices(false)));
  return made;
}

std::unique_ptr<PortUnderTest> make_pmem(const PortSetup& setup, std::string& why_not) {
  auto made = std::make_unique<PortOnFiles>(setup);
  PortDevices devices = made->devices(false);
  const PmemWindow window{setup.window_offset_bytes, setup.size_bytes, setup.writable};
  auto memory = Pmem2Port::create(std::move(devices.cache.fd), window);
  if (!memory) {
    why_not = memory.error().message();
    return nullptr;
  }
  const DeviceInfo cache_info = devices.cache.info;
  devices.cache = PortDevice{};
  std::unique_ptr<IoPort> origin;
  if (setup.has_origin) origin = std::make_unique<SyncPort>(std::move(devices));
  made->set_port(std::make_unique<PmemBlockPort>(std::move(*memory), cache_info, std::move(origin)));
  return made;
}

}  // namespace

const std::vector<PortKind>& port_kinds() {
  static const std::vector<PortKind> kinds{
      {"uring", make_uring, true},  {"uring_direct", make_uring_direct, true},
      {"sync", make_sync, true},    {"pmem_block", make_pmem, false},
#ifdef WC_HAS_SIM
      {"sim", make_sim_port, true},
#endif
  };
  return kinds;
}

}  // namespace wc::test
