// SPDX-License-Identifier: LGPL-2.1-or-later
// A ublk device that answers every request at once and stores nothing: what the way through userspace costs by itself.
//
// usage: ublk_null SECTORS   prints "ready" and serves until it is killed or the device is removed
#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "wc-run/ublk_control.hpp"

namespace {

constexpr std::uint16_t kDepth = 64;
constexpr std::uint32_t kRequestBytes = 512U << 10;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "ublk_null: %s\n", what.c_str());
  std::exit(8);
}

class Queue {
 public:
  Queue(std::uint32_t device, bool is_legacy) : is_legacy_(is_legacy) {
    const std::string path = "/dev/ublkc" + std::to_string(device);
    for (int tries = 0; fd_ < 0 && tries < 200; ++tries) {
      fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
      if (fd_ < 0) ::usleep(10'000);
    }
    if (fd_ < 0) fail(path + " cannot be opened");
    const std::size_t bytes = (kDepth * sizeof(ublksrv_io_desc) + 4095) / 4096 * 4096;
    void* shared = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd_, UBLKSRV_CMD_BUF_OFFSET);
    if (shared == MAP_FAILED) fail("no descriptions");
    descriptions_ = static_cast<const ublksrv_io_desc*>(shared);
    buffers_.resize(std::size_t{kDepth} * kRequestBytes);
    if (::io_uring_queue_init(kDepth, &ring_, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) < 0) fail("no ring");
    for (std::uint16_t tag = 0; tag < kDepth; ++tag)
      send(tag, UBLK_IO_FETCH_REQ, 0);
    ::io_uring_submit(&ring_);
  }

  void serve() {
    for (int active = kDepth; active > 0;) {
      ::io_uring_submit_and_wait(&ring_, 1);
      unsigned head = 0;
      unsigned count = 0;
      io_uring_cqe* completion = nullptr;
      io_uring_for_each_cqe(&ring_, head, completion) {
        ++count;
        const auto tag = static_cast<std::uint16_t>(::io_uring_cqe_get_data64(completion));
        if (completion->res != UBLK_IO_RES_OK) {
          --active;
        } else {
          send(tag, UBLK_IO_COMMIT_AND_FETCH_REQ, static_cast<std::int32_t>(descriptions_[tag].nr_sectors << 9));
        }
      }
      ::io_uring_cq_advance(&ring_, count);
    }
  }

 private:
  void send(std::uint16_t tag, std::uint32_t operation, std::int32_t result) {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    if (entry == nullptr) fail("the ring is full");
    std::memset(entry, 0, sizeof *entry);
    entry->opcode = IORING_OP_URING_CMD;
    entry->fd = fd_;
    entry->cmd_op = wc::tools::ublk_io_operation(operation, is_legacy_);
    ublksrv_io_cmd command{};
    command.tag = tag;
    command.result = result;
    command.addr = reinterpret_cast<std::uintptr_t>(buffers_.data() + std::size_t{tag} * kRequestBytes);
    std::memcpy(entry->cmd, &command, sizeof command);
    ::io_uring_sqe_set_data64(entry, tag);
  }

  bool is_legacy_;
  int fd_ = -1;
  io_uring ring_{};
  const ublksrv_io_desc* descriptions_ = nullptr;
  std::vector<std::byte> buffers_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) fail("usage: ublk_null SECTORS");
  auto control = wc::tools::UblkControl::open();
  if (!control) fail(control.error().message());
  ublksrv_ctrl_dev_info info{};
  info.nr_hw_queues = 1;
  info.queue_depth = kDepth;
  info.max_io_buf_bytes = kRequestBytes;
  info.dev_id = ~0U;
  info.ublksrv_pid = ::getpid();
  if (auto added = (*control)->add(info); !added) fail(added.error().message());
  ublk_params params{};
  params.types = UBLK_PARAM_TYPE_BASIC;
  params.basic.logical_bs_shift = params.basic.physical_bs_shift = 12;
  params.basic.io_opt_shift = params.basic.io_min_shift = 12;
  params.basic.max_sectors = kRequestBytes >> 9;
  params.basic.dev_sectors = std::strtoull(arguments[1], nullptr, 0);
  if (auto taken = (*control)->set_params(info.dev_id, params); !taken) fail(taken.error().message());
  std::promise<void> is_open;
  std::thread server([&] {
    Queue queue(info.dev_id, (*control)->is_legacy());
    is_open.set_value();
    queue.serve();
  });
  is_open.get_future().wait();
  if (auto started = (*control)->start(info.dev_id); !started) fail(started.error().message());
  std::printf("ready /dev/ublkb%u\n", info.dev_id);
  std::fflush(stdout);
  server.join();
  return 0;
}
