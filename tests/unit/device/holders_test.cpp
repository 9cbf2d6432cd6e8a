// SPDX-License-Identifier: LGPL-2.1-or-later
// Who uses a device, asked of made-up trees of /sys and /proc.
#include "device/holders.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scratch.hpp"

namespace wc::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(MountinfoParse, ReadsDeviceSourceAndMountPoint) {
  const auto mounts = parse_mountinfo(
      "21 26 0:20 / /proc rw,relatime - proc proc rw\n"
      "26 1 254:1 / / rw shared:1 master:2 - ext4 /dev/vda1 rw\n"
      "30 26 8:17 /sub /mnt/with\\040blank\\134 rw - xfs /dev/sd\\040b1 rw\n");
  ASSERT_EQ(mounts.size(), 3U);
  EXPECT_EQ(mounts[1].device, (DeviceNumber{254, 1}));
  EXPECT_EQ(mounts[1].source, "/dev/vda1");
  EXPECT_EQ(mounts[1].mount_point, "/");
  EXPECT_EQ(mounts[2].mount_point, "/mnt/with blank\\");
  EXPECT_EQ(mounts[2].source, "/dev/sd b1");
}

TEST(MountinfoParse, LeavesOutWhatIsNoMountLine) {
  EXPECT_THAT(parse_mountinfo(""), IsEmpty());
  EXPECT_THAT(parse_mountinfo("\n\nnonsense\n1 2 3 4 5 6\n1 2 x:y / / rw - a b c\n1 2 8:1 / / rw - ext4\n"), IsEmpty());
}

TEST(SwapsParse, ReadsPathsAndSkipsTheHeader) {
  EXPECT_THAT(parse_swaps("Filename\t\t\t\tType\t\tSize\n/dev/sda2                               partition\t9\t0\t-2\n"
                          "/my\\040swap file 1 0 -3\n"),
              ElementsAre("/dev/sda2", "/my swap"));
  EXPECT_THAT(parse_swaps(""), IsEmpty());
}

TEST(LocksParse, ReadsHeldLocksAndSkipsWaitingOnes) {
  const auto locks = parse_locks(
      "1: FLOCK  ADVISORY  WRITE 1234 fe:0a:98765 0 EOF\n"
      "1: -> FLOCK  ADVISORY  WRITE 4321 fe:0a:98765 0 EOF\n"
      "2: OFDLCK ADVISORY  READ -1 08:01:77 100 101\n"
      "3: broken\n");
  ASSERT_EQ(locks.size(), 2U);
  EXPECT_EQ(locks[0].kind, "FLOCK");
  EXPECT_EQ(locks[0].pid, 1234);
  EXPECT_EQ(locks[0].device, (DeviceNumber{254, 10}));
  EXPECT_EQ(locks[0].inode, 98765U);
  EXPECT_EQ(locks[1].pid, -1);
}

/// A machine with the disk sda and its partitions sda1 and sda2, the disk sdb, and loop0 and loop1.
class MadeUpMachine : public testing::Test {
 protected:
  void SetUp() override {
    disk("sda", "8:0");
    partition("sda", "sda1", "8:1");
    partition("sda", "sda2", "8:2");
    disk("sdb", "8:16");
    disk("loop0", "7:0");
    disk("loop1", "7:1");
    scratch_.file("proc/self/mountinfo", "");
    scratch_.file("proc/swaps", "Filename Type Size Used Priority\n");
  }

  void disk(const std::string& name, const std::string& number) {
    scratch_.file("sys/devices/" + name + "/dev", number + "\n");
    std::filesystem::create_directories(scratch_ / ("sys/devices/" + name + "/holders"));
    scratch_.link("sys/dev/block/" + number, "../../devices/" + name);
    scratch_.link("sys/block/" + name, "../devices/" + name);
  }
  void partition(const std::string& disk_name, const std::string& name, const std::string& number) {
    const std::string folder = "sys/devices/" + disk_name + "/" + name;
    scratch_.file(folder + "/dev", number + "\n");
    scratch_.file(folder + "/partition", "1\n");
    std::filesystem::create_directories(scratch_ / (folder + "/holders"));
    scratch_.link("sys/dev/block/" + number, "../../devices/" + disk_name + "/" + name);
  }
  void mount(const std::string& number, const std::string& source, const std::string& mount_point) {
    scratch_.file("proc/self/mountinfo", "26 1 " + number + " / " + mount_point + " rw - ext4 " + source + " rw\n");
  }
  std::string holder(std::uint32_t major_number, std::uint32_t minor_number) {
    return find_device_holder(roots(), {major_number, minor_number}).value_or("nobody");
  }
  SystemRoots roots() { return {scratch_ / "sys", scratch_ / "proc"}; }

  ScratchDirectory scratch_;
};

TEST_F(MadeUpMachine, AFreeDeviceHasNoHolder) {
  EXPECT_EQ(holder(8, 0), "nobody");
  EXPECT_EQ(holder(8, 1), "nobody");
  EXPECT_EQ(holder(8, 16), "nobody");
  EXPECT_EQ(holder(99, 9), "nobody");
}

TEST_F(MadeUpMachine, AMountHoldsThePartitionAndItsWholeDiskButNotTheNeighbour) {
  mount("8:1", "/dev/root", "/boot");
  EXPECT_EQ(holder(8, 1), "mounted on /boot");
  EXPECT_EQ(holder(8, 0), "in use: its partition sda1 is mounted on /boot");
  EXPECT_EQ(holder(8, 2), "nobody");
  EXPECT_EQ(holder(8, 16), "nobody");
}

TEST_F(MadeUpMachine, AMountOfTheWholeDiskHoldsItsPartitions) {
  mount("8:0", "/dev/sda", "/data");
  EXPECT_EQ(holder(8, 0), "mounted on /data");
  EXPECT_EQ(holder(8, 2), "in use: its whole disk sda is mounted on /data");
}

TEST_F(MadeUpMachine, AMountIsFoundByItsSourceWhereTheNumberIsTheFileSystems) {
  mount("0:41", "/dev/sdb", "/btrfs");
  EXPECT_EQ(holder(8, 16), "mounted on /btrfs");
}

TEST_F(MadeUpMachine, AMountWhoseDeviceSysfsDoesNotKnowIsFoundByItsNumber) {
  mount("99:9", "/dev/odd", "/odd");
  EXPECT_EQ(holder(99, 9), "mounted on /odd");
}

TEST_F(MadeUpMachine, SwapHolds) {
  scratch_.file("proc/swaps", "Filename Type\n/dev/sda2 partition 1 0 -2\n");
  EXPECT_EQ(holder(8, 2), "used as swap");
  EXPECT_EQ(holder(8, 0), "in use: its partition sda2 is used as swap");
  EXPECT_EQ(holder(8, 1), "nobody");
}

TEST_F(MadeUpMachine, DeviceMapperAndRaidHoldersAreNamed) {
  disk("dm-3", "253:3");
  scratch_.file("sys/devices/dm-3/dm/name", "vg-cache\n");
  disk("md0", "9:0");
  scratch_.file("sys/devices/md0/md/level", "raid1\n");
  scratch_.link("sys/devices/sda/sda1/holders/dm-3", "../../../dm-3");
  scratch_.link("sys/devices/sdb/holders/md0", "../../md0");
  EXPECT_EQ(holder(8, 1), "held by the device-mapper device vg-cache");
  EXPECT_EQ(holder(8, 16), "held by the RAID array md0");
  EXPECT_EQ(holder(8, 0), "in use: its partition sda1 is held by the device-mapper device vg-cache");
  mount("0:50", "/dev/mapper/vg-cache", "/srv");
  EXPECT_EQ(holder(253, 3), "mounted on /srv");
}

TEST_F(MadeUpMachine, AHolderOfAnUnknownKindIsNamedAsItIs) {
  scratch_.link("sys/devices/sdb/holders/bcache0", "../../bcache0");
  EXPECT_EQ(holder(8, 16), "held by bcache0");
}

TEST_F(MadeUpMachine, AnImageOnALoopDeviceIsHeld) {
  const std::string image = scratch_.image("disk.img", 4096);
  EXPECT_FALSE(find_image_holder(roots(), image));
  scratch_.file("sys/devices/loop1/loop/backing_file", image + "\n");
  EXPECT_EQ(find_image_holder(roots(), image), "attached to loop1 (detach it with `losetup --detach /dev/loop1`)");
  mount("7:1", "/dev/loop1", "/mnt");
  EXPECT_EQ(find_image_holder(roots(), image), "mounted on /mnt through loop1");
  EXPECT_FALSE(find_image_holder(roots(), scratch_.image("other.img", 4096)));
}

TEST_F(MadeUpMachine, AnImageIsRecognisedUnderAnotherName) {
  const std::string image = scratch_.image("disk.img", 4096);
  std::filesystem::create_hard_link(image, scratch_ / "alias.img");
  scratch_.file("sys/devices/loop0/loop/backing_file", image + "\n");
  EXPECT_TRUE(find_image_holder(roots(), scratch_ / "alias.img"));
}

TEST_F(MadeUpMachine, AnImageUsedAsSwapOrMountedAsItIsIsHeld) {
  const std::string image = scratch_.image("disk.img", 4096);
  scratch_.file("proc/swaps", "Filename Type\n" + image + " file 1 0 -2\n");
  EXPECT_EQ(find_image_holder(roots(), image), "used as swap");
  scratch_.file("proc/swaps", "");
  mount("0:60", image, "/ro");
  EXPECT_EQ(find_image_holder(roots(), image), "mounted on /ro");
}

TEST_F(MadeUpMachine, ABlockDeviceUnderALoopDeviceIsHeld) {
  scratch_.file("sys/devices/loop0/loop/backing_file", "/dev/sdb\n");
  EXPECT_EQ(holder(8, 16), "attached to loop0 (detach it with `losetup --detach /dev/loop0`)");
}

TEST_F(MadeUpMachine, KnowsWhichDevicesArePartsOfEachOther) {
  EXPECT_TRUE(is_partition_of_other(roots(), {8, 0}, {8, 1}));
  EXPECT_TRUE(is_partition_of_other(roots(), {8, 2}, {8, 0}));
  EXPECT_FALSE(is_partition_of_other(roots(), {8, 1}, {8, 2}));
  EXPECT_FALSE(is_partition_of_other(roots(), {8, 0}, {8, 16}));
  EXPECT_FALSE(is_partition_of_other(roots(), {8, 1}, {8, 16}));
  EXPECT_FALSE(is_partition_of_other(roots(), {8, 1}, {99, 9}));
}

TEST_F(MadeUpMachine, ProcessesAreDescribed) {
  scratch_.file("proc/4711/comm", "wc-run\n");
  EXPECT_EQ(describe_process(roots(), 4711), "wc-run, process 4711");
  EXPECT_EQ(describe_process(roots(), 4712), "process 4712");
}

TEST_F(MadeUpMachine, AMachineWithoutProcAndSysHasNoHolders) {
  const SystemRoots nothing{scratch_ / "no-sys", scratch_ / "no-proc"};
  EXPECT_FALSE(find_device_holder(nothing, {8, 1}));
  EXPECT_FALSE(find_image_holder(nothing, scratch_ / "disk.img"));
  EXPECT_EQ(describe_openers(nothing, {8, 1}), "");
}

}  // namespace
}  // namespace wc::test
