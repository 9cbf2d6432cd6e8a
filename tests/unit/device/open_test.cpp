// SPDX-License-Identifier: LGPL-2.1-or-later
// Opening images and devices: refusals, windows, locks, signatures, real loop devices.
#include "device/open.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "io/uring_port.hpp"
#include "scratch.hpp"

namespace wc::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr std::uint64_t kMiB = 1U << 20;

/// A DOS partition table with one Linux partition: sectors 64 to 127.
std::string partition_table() {
  constexpr std::size_t kEntry = 446;
  std::string table(512, '\0');
  table[kEntry + 4] = '\x83';
  table[kEntry + 8] = 64;
  table[kEntry + 12] = 64;
  table[510] = '\x55';
  table[511] = '\xaa';
  return table;
}

class OpenDevices : public testing::Test {
 protected:
  Result<std::unique_ptr<Devices>> open(const std::string& path, Access access = Access::read_shared,
                                        Sector start_sector = 0) {
    return open_devices({.cache = {path, start_sector, access}, .origin = std::nullopt});
  }

  void expect_refusal(const Result<std::unique_ptr<Devices>>& opened, ErrorCode code, const std::string& path,
                      const std::string& words) {
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, code) << opened.error().message();
    EXPECT_THAT(opened.error().context, StartsWith(path + ": "));
    EXPECT_THAT(opened.error().message(), HasSubstr(words));
  }

  /// Keeps what a child process opened until it ends. Tells whether it was opened.
  static bool keep(Result<std::unique_ptr<Devices>> opened) {
    static std::unique_ptr<Devices> kept;
    if (!opened) return false;
    kept = std::move(*opened);
    return true;
  }

  /// The outcome of one operation, run to its end.
  static Result<void> run(IoPort& port, IoOp op) {
    std::optional<Result<void>> outcome;
    op.owner = &outcome;
    op.on_done = [](IoOp& done, Result<void> result) {
      *static_cast<std::optional<Result<void>>*>(done.owner) = std::move(result);
    };
    port.submit(op);
    while (!outcome)
      port.poll(Wait::for_one);
    return *outcome;
  }

  ScratchDirectory scratch_;
};

TEST_F(OpenDevices, RefusesAMissingFile) {
  const std::string path = scratch_ / "missing";
  expect_refusal(open(path), ErrorCode::not_found, path, "No such file");
}

TEST_F(OpenDevices, RefusesADirectory) {
  expect_refusal(open(scratch_.path()), ErrorCode::invalid_argument, scratch_.path(), "directory");
}

TEST_F(OpenDevices, RefusesAFifoWithoutWaitingForIt) {
  const std::string path = scratch_ / "fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  expect_refusal(open(path), ErrorCode::invalid_argument, path, "FIFO");
  expect_refusal(open(path, Access::write_exclusive), ErrorCode::invalid_argument, path, "FIFO");
}

TEST_F(OpenDevices, RefusesASocket) {
  const std::string path = scratch_ / "socket";
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  expect_refusal(open(path), ErrorCode::invalid_argument, path, "socket");
}

TEST_F(OpenDevices, RefusesACharacterDevice) {
  expect_refusal(open("/dev/null"), ErrorCode::invalid_argument, "/dev/null", "character device");
}

TEST_F(OpenDevices, AWindowEndsWhereItIsToldAndNotBehindTheDevice) {
  const std::string path = scratch_.image("image", kMiB);
  DeviceSpec spec{path, 8, Access::read_shared};
  spec.sectors = 16;
  const auto opened = open_devices({.cache = spec, .origin = std::nullopt});
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ((*opened)->port().info(DeviceId::cache).size_bytes, 16U * 512);
  EXPECT_EQ((*opened)->port().info(DeviceId::cache).window_offset_bytes, 8U * 512);
  alignas(kIoAlignmentBytes) std::array<std::byte, 512> memory{};
  const auto read_at = [&](Sector sector) {
    return run(
        (*opened)->port(),
        {.kind = IoKind::read, .device = DeviceId::cache, .offset_bytes = bytes_of_sectors(sector), .memory = memory});
  };
  EXPECT_TRUE(read_at(15));
  EXPECT_FALSE(read_at(16));
  spec.sectors = sectors_of_bytes(kMiB) - 8;
  EXPECT_TRUE(open_devices({.cache = spec, .origin = std::nullopt}));
  for (const Sector sectors : {sectors_of_bytes(kMiB) - 7, ~Sector{0}}) {
    spec.sectors = sectors;
    expect_refusal(open_devices({.cache = spec, .origin = std::nullopt}), ErrorCode::invalid_argument, path,
                   "ends before");
  }
}

TEST_F(OpenDevices, RefusesToWriteAReadOnlyFileEvenAsRoot) {
  const std::string path = scratch_.image("image", kMiB);
  ASSERT_EQ(::chmod(path.c_str(), 0444), 0);
  EXPECT_TRUE(open(path));
  const auto opened = open(path, Access::write_exclusive);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::permission) << opened.error().message();
}

TEST_F(OpenDevices, OpensEmptyAndTinyFiles) {
  for (const std::uint64_t bytes : {0U, 1U, 511U}) {
    const auto opened = open(scratch_.image("tiny", bytes), Access::write_exclusive);
    ASSERT_TRUE(opened) << opened.error().message();
    EXPECT_EQ((*opened)->port().info(DeviceId::cache).size_bytes, 0U);
    EXPECT_TRUE((*opened)->port().info(DeviceId::cache).present);
    EXPECT_FALSE((*opened)->port().info(DeviceId::origin).present);
  }
}

TEST_F(OpenDevices, AFileIsUsableDownToItsLastWholeSector) {
  for (const DirectIo direct : {DirectIo::automatic, DirectIo::always}) {
    const std::string path = scratch_.image("odd", 64 * 1024 + 512 + 77);
    const auto opened = open_devices({{path, 0, Access::read_shared, direct}, std::nullopt});
    ASSERT_TRUE(opened) << opened.error().message();
    EXPECT_EQ((*opened)->port().info(DeviceId::cache).size_bytes, 64U * 1024 + 512);
  }
}

TEST_F(OpenDevices, TheWindowBeginsAtTheStartSector) {
  const std::string path = scratch_.image("image", kMiB);
  const auto opened = open(path, Access::write_exclusive, 3);
  ASSERT_TRUE(opened) << opened.error().message();
  const DeviceInfo info = (*opened)->port().info(DeviceId::cache);
  EXPECT_EQ(info.size_bytes, kMiB - 3 * 512);
  EXPECT_EQ(info.window_offset_bytes, 3U * 512);
  EXPECT_TRUE(info.writable);
  EXPECT_EQ((*opened)->cache_path(), path);
  EXPECT_EQ((*opened)->origin_path(), "");
}

TEST_F(OpenDevices, RefusesAStartSectorBeyondTheEnd) {
  const std::string path = scratch_.image("image", kMiB);
  EXPECT_TRUE(open(path, Access::read_shared, 2047));
  for (const Sector start : {Sector{2048}, Sector{2049}, Sector{1} << 55, UINT64_MAX})
    expect_refusal(open(path, Access::read_shared, start), ErrorCode::invalid_argument, path, "2048 sectors");
}

TEST_F(OpenDevices, RefusesOneFileAsCacheAndOrigin) {
  const std::string path = scratch_.image("image", kMiB);
  std::filesystem::create_hard_link(path, scratch_ / "alias");
  const auto opened =
      open_devices({{path, 0, Access::write_exclusive}, DeviceSpec{scratch_ / "alias", 1024, Access::write_exclusive}});
  expect_refusal(opened, ErrorCode::invalid_argument, scratch_ / "alias", "at once");
}

TEST_F(OpenDevices, ReadsAndWritesBothDevicesWithAndWithoutIoUring) {
  const std::string cache = scratch_.image("cache", kMiB);
  const std::string origin = scratch_.image("origin", kMiB);
  for (const bool without : {false, true}) {
    for (const DirectIo direct : {DirectIo::automatic, DirectIo::always}) {
      OpenInternals internals;
      internals.without_io_uring = without;
      const auto opened = open_devices_with(
          {{cache, 0, Access::write_exclusive, direct}, DeviceSpec{origin, 8, Access::write_exclusive, direct}},
          internals);
      ASSERT_TRUE(opened) << opened.error().message();
      alignas(kIoAlignmentBytes) static std::array<std::byte, 4096> memory;
      memory.fill(std::byte{0x42});
      IoOp op{.kind = IoKind::write, .device = DeviceId::origin, .memory = memory};
      ASSERT_TRUE(run((*opened)->port(), op));
      memory.fill(std::byte{0});
      op.kind = IoKind::read;
      ASSERT_TRUE(run((*opened)->port(), op));
      EXPECT_EQ(memory[17], std::byte{0x42});
      EXPECT_EQ((*opened)->origin_path(), origin);
      EXPECT_GT((*opened)->clock().now_ns(), 0U);
    }
  }
}

TEST_F(OpenDevices, DirectIoIsLeftOutWhereTheFileSystemCannotOrTheWindowDoesNotFit) {
  const SystemRoots roots;
  const std::string path = scratch_.image("image", kMiB);
  const auto medium = identify_medium(roots, path);
  ASSERT_TRUE(medium);
  const auto automatic = open_medium(roots, *medium, {path, 0, Access::read_shared});
  ASSERT_TRUE(automatic);
  EXPECT_FALSE(automatic->is_direct);
  EXPECT_EQ(automatic->info.logical_block_bytes, 512U);
  for (const Sector start : {Sector{0}, Sector{1}, Sector{8}}) {
    const auto always = open_medium(roots, *medium, {path, start, Access::read_shared, DirectIo::always});
    ASSERT_TRUE(always);
    EXPECT_EQ(always->info.size_bytes, kMiB - start * 512);
    EXPECT_EQ(always->info.window_offset_bytes % always->info.logical_block_bytes, 0U);
    EXPECT_EQ(always->is_direct, (::fcntl(always->fd.get(), F_GETFL) & O_DIRECT) != 0);
  }
}

TEST_F(OpenDevices, AnImageOnTmpfsOpensWithDirectIoToo) {
  std::string path = "/dev/shm/wc-open-XXXXXX";
  const UniqueFd file(::mkstemp(path.data()));
  if (!file) GTEST_SKIP() << "no tmpfs on /dev/shm";
  ASSERT_EQ(::ftruncate(file.get(), kMiB), 0);
  {
    const auto opened = open_devices({{path, 0, Access::write_exclusive, DirectIo::always}, std::nullopt});
    ASSERT_TRUE(opened) << opened.error().message();
    alignas(kIoAlignmentBytes) static std::array<std::byte, 512> memory;
    EXPECT_TRUE(run((*opened)->port(), {.kind = IoKind::write, .memory = memory}));
    EXPECT_TRUE(run((*opened)->port(), {.kind = IoKind::flush, .memory = {}}));
  }
  std::filesystem::remove(path);
}

TEST_F(OpenDevices, AWriterExcludesAnotherWriterOfAnotherProcessAndIsNamed) {
  const std::string path = scratch_.image("image", kMiB);
  OtherProcess other([&] { return keep(open(path, Access::write_exclusive)); });
  ASSERT_TRUE(other.succeeded());
  const auto opened = open(path, Access::write_exclusive);
  expect_refusal(opened, ErrorCode::busy, path, "locked by");
  if (!read_kernel_file("/proc/locks").empty()) {
    EXPECT_THAT(opened.error().context, HasSubstr("process " + std::to_string(other.pid())));
  }
  EXPECT_TRUE(open(path)) << "a reader works beside a writer";
  other.finish();
  EXPECT_TRUE(open(path, Access::write_exclusive)) << "the lock ends with its holder";
}

TEST_F(OpenDevices, AWriterExcludesAnotherWriterOfThisProcessUntilItCloses) {
  const std::string path = scratch_.image("image", kMiB);
  auto first = open(path, Access::write_exclusive);
  ASSERT_TRUE(first);
  expect_refusal(open(path, Access::write_exclusive), ErrorCode::busy, path, "this process");
  first = Error{};
  EXPECT_TRUE(open(path, Access::write_exclusive));
}

TEST_F(OpenDevices, ReadersDoNotKeepAWriterOut) {
  const std::string path = scratch_.image("image", kMiB);
  const auto reader = open(path);
  ASSERT_TRUE(reader);
  EXPECT_TRUE(open(path, Access::write_exclusive));
}

TEST_F(OpenDevices, WhoNeedsAStableMediumAndAWriterExcludeEachOther) {
  const std::string path = scratch_.image("image", kMiB);
  {
    const auto writer = open(path, Access::write_exclusive);
    ASSERT_TRUE(writer) << writer.error().message();
    expect_refusal(open(path, Access::read_stable), ErrorCode::busy, path, "locked");
    EXPECT_TRUE(open(path));
  }
  const auto reader = open(path, Access::read_stable);
  ASSERT_TRUE(reader) << reader.error().message();
  EXPECT_FALSE((*reader)->port().info(DeviceId::cache).writable);
  expect_refusal(open(path, Access::write_exclusive), ErrorCode::busy, path, "locked");
  EXPECT_TRUE(open(path, Access::read_stable));
  EXPECT_TRUE(open(path));
}

TEST_F(OpenDevices, ARecordLockOfAVirtualMachineKeepsAWriterOut) {
  const std::string path = scratch_.image("image", kMiB);
  const UniqueFd machine(::open(path.c_str(), O_RDWR));
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = 100;
  lock.l_len = 1;
  ASSERT_EQ(::fcntl(machine.get(), F_OFD_SETLK, &lock), 0);
  expect_refusal(open(path, Access::write_exclusive), ErrorCode::busy, path, "virtual machine");
}

TEST_F(OpenDevices, ABrokenOriginLetsTheCacheGo) {
  const std::string path = scratch_.image("cache", kMiB);
  const auto opened = open_devices({{path, 0, Access::write_exclusive}, DeviceSpec{scratch_ / "missing"}});
  expect_refusal(opened, ErrorCode::not_found, scratch_ / "missing", "No such file");
  EXPECT_TRUE(open(path, Access::write_exclusive));
}

/// Makes io_uring_setup fail in this process, as containers do. False where this kernel cannot.
bool forbid_io_uring() {
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST_F(OpenDevices, WorksWhereIoUringIsForbidden) {
  const std::string path = scratch_.image("image", kMiB);
  OtherProcess other([&] {
    if (!forbid_io_uring()) return false;
    PortDevices none;
    const auto ring = UringPort::create(none);
    if (ring || ring.error().code != ErrorCode::unsupported) return false;
    const auto opened = open(path, Access::write_exclusive);
    alignas(kIoAlignmentBytes) static std::array<std::byte, 4096> memory;
    memory.fill(std::byte{0x3c});
    return opened && run((*opened)->port(), {.kind = IoKind::write, .memory = memory}).has_value();
  });
  ASSERT_TRUE(other.succeeded());
  EXPECT_EQ(read_kernel_file(path)[4095], '\x3c');
}

/// No machine of the project has device-DAX: /dev/null plays the node in a made-up tree of /sys.
class OnDeviceDax : public OpenDevices {
 protected:
  void SetUp() override {
    internals_.roots.sys = scratch_ / "sys";
    scratch_.link("sys/dev/char/1:3/subsystem", "../../../bus/dax");
    scratch_.file("sys/dev/char/1:3/size", "2097152\n");
  }
  OpenInternals internals_;
};

TEST_F(OnDeviceDax, IsRecognisedWithItsSize) {
  const auto medium = identify_medium(internals_.roots, "/dev/null");
  ASSERT_TRUE(medium) << medium.error().message();
  EXPECT_EQ(medium->kind, MediumKind::device_dax);
  const auto device = open_medium(internals_.roots, *medium, {"/dev/null", 8, Access::read_shared});
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ(device->info.size_bytes, 2 * kMiB - 8 * 512);
  EXPECT_FALSE(device->is_direct);
}

TEST_F(OnDeviceDax, IsMappedAndNotRead) {
  const auto opened = open_devices_with({{"/dev/null"}, std::nullopt}, internals_);
  expect_refusal(opened, ErrorCode::unsupported, "/dev/null", "cannot be mapped");
}

TEST_F(OnDeviceDax, IsNoOrigin) {
  const std::string cache = scratch_.image("cache", kMiB);
  expect_refusal(open_devices_with({{cache}, DeviceSpec{"/dev/null"}}, internals_), ErrorCode::unsupported, "/dev/null",
                 "cannot be an origin");
}

TEST(SystemClockReal, SleepsAsLongAsItWasTold) {
  ScratchDirectory scratch;
  const auto opened = open_devices({.cache = {scratch.image("image", kMiB)}, .origin = std::nullopt});
  ASSERT_TRUE(opened);
  Clock& clock = (*opened)->clock();
  const std::uint64_t before = clock.now_ns();
  clock.sleep_ns(2'000'000);
  EXPECT_GE(clock.now_ns() - before, 2'000'000U);
}

TEST(ResolveTag, OtherNamesStayAsTheyAre) {
  for (const char* name : {"/dev/sda", "image", "uuid=1", "ID=7", ""}) {
    const auto path = resolve_tag(name);
    ASSERT_TRUE(path);
    EXPECT_EQ(*path, name);
  }
}

TEST(ResolveTag, ATagThatNoDeviceHasIsNotFound) {
  for (const char* name :
       {"UUID=01234567-dead-beef-0000-0123456789ab", "LABEL=no such label", "PARTUUID=00", "PARTLABEL=", "UUID="}) {
    const auto path = resolve_tag(name);
    ASSERT_FALSE(path) << *path;
    EXPECT_EQ(path.error().code, ErrorCode::not_found);
    EXPECT_THAT(path.error().context, StartsWith(std::string(name) + ": "));
  }
}

TEST_F(OpenDevices, ATagThatCannotBeResolvedIsNotFound) {
  expect_refusal(open("LABEL=wc-no-such-label"), ErrorCode::not_found, "LABEL=wc-no-such-label", "tag");
}

class ProbeSignature : public testing::Test {
 protected:
  std::string ext4_image(const std::string& name, std::uint64_t offset_bytes) {
    const std::string path = scratch_.image(name, offset_bytes + 4 * kMiB);
    if (output_of("PATH=$PATH:/sbin:/usr/sbin; mkfs.ext4 -q -F -b 1024 -L wc-label -E offset=" +
                  std::to_string(offset_bytes) + " " + path + " 4096 && echo made") != "made")
      return {};
    return path;
  }
  ScratchDirectory scratch_;
};

TEST_F(ProbeSignature, FindsNothingInZerosAndEmptyFiles) {
  for (const std::uint64_t bytes : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{512}, kMiB}) {
    const auto seen = probe_signature({scratch_.image("image", bytes)});
    ASSERT_TRUE(seen) << seen.error().message();
    EXPECT_FALSE(seen->has_value());
  }
}

TEST_F(ProbeSignature, NamesAFileSystemInTheWindowOnly) {
  const std::string path = ext4_image("image", kMiB);
  if (path.empty()) GTEST_SKIP() << "mkfs.ext4 does not work here";
  const auto seen = probe_signature({path, 2048});
  ASSERT_TRUE(seen) << seen.error().message();
  ASSERT_TRUE(seen->has_value());
  EXPECT_EQ((*seen)->type, "ext4");
  EXPECT_EQ((*seen)->usage, "filesystem");
  EXPECT_EQ((*seen)->label, "wc-label");
  EXPECT_EQ((*seen)->sector_bytes, 1024U);
  const auto before = probe_signature({path, 0});
  ASSERT_TRUE(before);
  EXPECT_FALSE(before->has_value());
}

TEST_F(ProbeSignature, NamesAPartitionTable) {
  const std::string path = scratch_.image("image", kMiB);
  scratch_.file("image", partition_table());
  std::filesystem::resize_file(path, kMiB);
  const auto seen = probe_signature({path});
  ASSERT_TRUE(seen) << seen.error().message();
  ASSERT_TRUE(seen->has_value());
  EXPECT_EQ((*seen)->type, "dos");
  EXPECT_EQ((*seen)->usage, "partition table");
}

TEST_F(ProbeSignature, FailsAsOpeningDoes) {
  const auto missing = probe_signature({scratch_ / "missing"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  const auto beyond = probe_signature({scratch_.image("image", kMiB), 2048});
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, ErrorCode::invalid_argument);
}

/// Cases on a real block device.
class OnLoopDevice : public OpenDevices {
 protected:
  void SetUp() override {
    image_ = scratch_.image("disk", 16 * kMiB);
    loop_ = std::make_unique<LoopDevice>(image_);
    if (loop_->path().empty()) GTEST_SKIP() << "losetup gives no loop device here (are you root?)";
  }
  std::string image_;
  std::unique_ptr<LoopDevice> loop_;
};

TEST_F(OnLoopDevice, OpensWithDirectIoAndItsRealSize) {
  const SystemRoots roots;
  const auto medium = identify_medium(roots, loop_->path());
  ASSERT_TRUE(medium);
  EXPECT_EQ(medium->kind, MediumKind::block_device);
  const auto device = open_medium(roots, *medium, {loop_->path(), 8, Access::write_exclusive});
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_TRUE(device->is_block_device);
  EXPECT_TRUE(device->is_direct);
  EXPECT_EQ(device->info.size_bytes, 16 * kMiB - 8 * 512);
}

TEST_F(OnLoopDevice, ReadsWritesFlushesAndDiscards) {
  const auto opened = open(loop_->path(), Access::write_exclusive, 16);
  ASSERT_TRUE(opened) << opened.error().message();
  IoPort& port = (*opened)->port();
  alignas(kIoAlignmentBytes) static std::array<std::byte, 4096> memory;
  memory.fill(std::byte{0x24});
  EXPECT_TRUE(run(port, {.kind = IoKind::write, .fua = true, .offset_bytes = 4096, .memory = memory}));
  EXPECT_TRUE(run(port, {.kind = IoKind::flush, .memory = {}}));
  memory.fill(std::byte{0});
  EXPECT_TRUE(run(port, {.kind = IoKind::read, .offset_bytes = 4096, .memory = memory}));
  EXPECT_EQ(memory[4095], std::byte{0x24});
  const auto discarded = run(port, {.kind = IoKind::discard, .offset_bytes = 4096, .memory = {}, .length_bytes = 4096});
  EXPECT_TRUE(discarded) << discarded.error().message();
  EXPECT_TRUE(run(port, {.kind = IoKind::read, .offset_bytes = 4096, .memory = memory}));
  EXPECT_EQ(memory[0], std::byte{0});
}

TEST_F(OnLoopDevice, AWriterExcludesOtherWritersAndIsNamed) {
  OtherProcess other([&] { return keep(open(loop_->path(), Access::write_exclusive)); });
  ASSERT_TRUE(other.succeeded());
  const auto opened = open(loop_->path(), Access::write_exclusive);
  expect_refusal(opened, ErrorCode::busy, loop_->path(), "process " + std::to_string(other.pid()));
  const auto stable = open(loop_->path(), Access::read_stable);
  expect_refusal(stable, ErrorCode::busy, loop_->path(), "process " + std::to_string(other.pid()));
  EXPECT_TRUE(open(loop_->path())) << "a reader works beside a writer";
  other.finish();
  const auto view = open(loop_->path(), Access::read_stable);
  EXPECT_TRUE(view);
  EXPECT_TRUE(open(loop_->path(), Access::read_stable)) << "views stand beside each other";
  EXPECT_TRUE(open(loop_->path(), Access::write_exclusive));
}

TEST_F(OnLoopDevice, TheImageBelowIsBusy) {
  expect_refusal(open(image_, Access::write_exclusive), ErrorCode::busy, image_, "attached to loop");
  EXPECT_TRUE(open(image_)) << "reading is allowed";
}

TEST_F(OnLoopDevice, AMountedDeviceIsBusyAndSoIsTheImageBelow) {
  if (output_of("PATH=$PATH:/sbin:/usr/sbin; mkfs.ext4 -q -F " + loop_->path() + " && echo made") != "made")
    GTEST_SKIP() << "mkfs.ext4 does not work here";
  const std::string mount_point = scratch_ / "mnt";
  std::filesystem::create_directory(mount_point);
  if (::mount(loop_->path().c_str(), mount_point.c_str(), "ext4", MS_RDONLY, nullptr) != 0)
    GTEST_SKIP() << "mount: " << std::strerror(errno);
  const auto device = open(loop_->path(), Access::write_exclusive);
  const auto image = open(image_, Access::write_exclusive);
  const auto reader = open(loop_->path());
  ASSERT_EQ(::umount(mount_point.c_str()), 0);
  expect_refusal(device, ErrorCode::busy, loop_->path(), "mounted on " + mount_point);
  expect_refusal(image, ErrorCode::busy, image_, "mounted on " + mount_point + " through loop");
  EXPECT_TRUE(reader);
  EXPECT_TRUE(open(loop_->path(), Access::write_exclusive)) << "free again";
}

TEST_F(OnLoopDevice, AReadOnlyDeviceIsNotOpenedForWriting) {
  const LoopDevice read_only(scratch_.image("other", kMiB), "--read-only");
  ASSERT_FALSE(read_only.path().empty());
  EXPECT_TRUE(open(read_only.path()));
  const auto opened = open(read_only.path(), Access::write_exclusive);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::permission) << opened.error().message();
}

TEST_F(OnLoopDevice, ItsOwnPartitionIsNoOriginForIt) {
  loop_ = nullptr;
  scratch_.file("disk", partition_table());
  std::filesystem::resize_file(image_, 16 * kMiB);
  loop_ = std::make_unique<LoopDevice>(image_, "--partscan");
  const std::string partition = loop_->path() + "p1";
  for (int i = 0; i < 100 && !std::filesystem::exists(partition); ++i)
    ::usleep(10'000);
  if (!std::filesystem::exists(partition)) GTEST_SKIP() << "no partitions on loop devices here";
  const auto opened = open_devices({{loop_->path()}, DeviceSpec{partition}});
  expect_refusal(opened, ErrorCode::invalid_argument, partition, "partition of the other");
}

TEST_F(OnLoopDevice, AWindowInsideALogicalBlockGoesThroughThePageCache) {
  const LoopDevice coarse(scratch_.image("coarse", kMiB), "--sector-size 4096");
  if (coarse.path().empty()) GTEST_SKIP() << "losetup cannot choose the sector size here";
  const SystemRoots roots;
  const auto medium = identify_medium(roots, coarse.path());
  ASSERT_TRUE(medium);
  const auto device = open_medium(roots, *medium, {coarse.path(), 1, Access::read_shared});
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_FALSE(device->is_direct);
  EXPECT_EQ(device->info.logical_block_bytes, 4096U);
  EXPECT_EQ(device->info.size_bytes, kMiB - 4096);
}

TEST_F(OnLoopDevice, ATagNamesTheDevice) {
  if (output_of("PATH=$PATH:/sbin:/usr/sbin; mkfs.ext4 -q -F -L wc-tag-" + std::to_string(::getpid()) + " " +
                loop_->path() + " && echo made") != "made")
    GTEST_SKIP() << "mkfs.ext4 does not work here";
  const auto path = resolve_tag("LABEL=wc-tag-" + std::to_string(::getpid()));
  ASSERT_TRUE(path) << path.error().message();
  EXPECT_EQ(*path, loop_->path());
}

}  // namespace
}  // namespace wc::test
