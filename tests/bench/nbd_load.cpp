// SPDX-License-Identifier: LGPL-2.1-or-later
// A lean NBD client, one thread and one connection: nbd_load SOCKET --job write|read|barrier; prints requests a second.
#include <endian.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// The protocol: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
constexpr std::uint64_t kServerMagic = 0x4e42444d41474943;
constexpr std::uint64_t kOptionMagic = 0x49484156454f5054;
constexpr std::uint32_t kRequestMagic = 0x25609513;
constexpr std::uint32_t kReplyMagic = 0x67446698;
constexpr std::uint32_t kClientFlags = 3;  // fixed newstyle, no zeroes
constexpr std::uint32_t kOptionExportName = 1;
enum class Command : std::uint16_t { read = 0, write = 1, flush = 3 };

struct [[gnu::packed]] WireRequest {
  std::uint32_t magic = htobe32(kRequestMagic);
  std::uint16_t flags = 0;
  std::uint16_t type = 0;
  std::uint64_t cookie = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
};
struct [[gnu::packed]] WireReply {
  std::uint32_t magic;
  std::uint32_t error;
  std::uint64_t cookie;
};

struct Options {
  std::string socket;
  std::string job = "write";
  std::uint32_t depth = 32;
  std::uint32_t block_bytes = 4096;
  std::uint64_t span_bytes = 0;
  double seconds = 3;
};

class Connection {
 public:
  explicit Connection(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw std::runtime_error("the path of the socket is too long");
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error(path + ": " + std::strerror(errno));
    }
    handshake();
  }
  ~Connection() { ::close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  std::uint64_t size_bytes() const noexcept { return size_bytes_; }

  /// Queues a request; send() brings all that are queued to the server.
  void queue(Command command, std::uint64_t offset_bytes, std::uint32_t length_bytes) {
    WireRequest request;
    request.type = htobe16(static_cast<std::uint16_t>(command));
    request.cookie = command == Command::read ? length_bytes : 0;  // as many bytes follow its reply
    request.offset = htobe64(offset_bytes);
    request.length = htobe32(length_bytes);
    append(&request, sizeof request);
    if (command != Command::write) return;
    const std::size_t end = outgoing_.size();
    outgoing_.resize(end + length_bytes);
    std::memcpy(outgoing_.data() + end, &offset_bytes, sizeof offset_bytes);
  }
  void send() {
    send_all(outgoing_.data(), outgoing_.size());
    outgoing_.clear();
  }
  /// Waits for one reply at least; returns how many came.
  std::uint32_t receive() {
    for (;;) {
      if (const std::uint32_t count = parse()) return count;
      std::memmove(incoming_.data(), incoming_.data() + parsed_, filled_ - parsed_);
      filled_ -= parsed_;
      parsed_ = 0;
      filled_ += receive_some(incoming_.data() + filled_, incoming_.size() - filled_);
    }
  }

 private:
  void handshake() {
    std::uint64_t magic[2];
    std::uint16_t flags = 0;
    receive_all(magic, sizeof magic);
    receive_all(&flags, sizeof flags);
    if (be64toh(magic[0]) != kServerMagic || be64toh(magic[1]) != kOptionMagic) {
      throw std::runtime_error("not an NBD server of the new style");
    }
    const std::uint32_t client_flags = htobe32(kClientFlags);
    const std::uint32_t option[2] = {htobe32(kOptionExportName), 0};  // the default export: a name of 0 bytes
    const std::uint64_t option_magic = htobe64(kOptionMagic);
    send_all(&client_flags, sizeof client_flags);
    send_all(&option_magic, sizeof option_magic);
    send_all(option, sizeof option);
    receive_all(&size_bytes_, sizeof size_bytes_);
    receive_all(&flags, sizeof flags);
    size_bytes_ = be64toh(size_bytes_);
  }
  std::uint32_t parse() {
    std::uint32_t count = 0;
    for (;;) {
      const std::uint64_t skipped = std::min<std::uint64_t>(to_skip_, filled_ - parsed_);
      parsed_ += skipped;
      to_skip_ -= skipped;
      if (to_skip_ != 0) return count;
      if (is_in_reply_) ++count;
      is_in_reply_ = false;
      WireReply reply;
      if (filled_ - parsed_ < sizeof reply) return count;
      std::memcpy(&reply, incoming_.data() + parsed_, sizeof reply);
      if (be32toh(reply.magic) != kReplyMagic) throw std::runtime_error("not a reply");
      if (reply.error != 0) throw std::runtime_error("a request failed: " + std::to_string(be32toh(reply.error)));
      parsed_ += sizeof reply;
      to_skip_ = reply.cookie;
      is_in_reply_ = true;
    }
  }
  void append(const void* data, std::size_t size) {
    const std::size_t end = outgoing_.size();
    outgoing_.resize(end + size);
    std::memcpy(outgoing_.data() + end, data, size);
  }
  void send_all(const void* data, std::size_t size) {
    const auto* at = static_cast<const std::byte*>(data);
    while (size != 0) {
      const ssize_t sent = ::send(fd_, at, size, MSG_NOSIGNAL);
      if (sent <= 0) throw std::runtime_error(std::string("send: ") + std::strerror(errno));
      at += sent;
      size -= static_cast<std::size_t>(sent);
    }
  }
  std::size_t receive_some(void* data, std::size_t size) const {
    const ssize_t got = ::recv(fd_, data, size, 0);
    if (got <= 0) throw std::runtime_error(got == 0 ? "the server hung up" : std::strerror(errno));
    return static_cast<std::size_t>(got);
  }
  void receive_all(void* data, std::size_t size) const {
    for (std::size_t got = 0; got < size;)
      got += receive_some(static_cast<std::byte*>(data) + got, size - got);
  }

  int fd_;
  std::uint64_t size_bytes_ = 0;
  std::vector<std::byte> outgoing_;
  std::vector<std::byte> incoming_ = std::vector<std::byte>(std::size_t{1} << 20);
  std::size_t filled_ = 0;
  std::size_t parsed_ = 0;
  std::uint64_t to_skip_ = 0;  ///< data that belong to a reply
  bool is_in_reply_ = false;
};

class Load {
 public:
  Load(const Options& options, Connection& connection)
      : options_(options),
        connection_(connection),
        block_count_((options.span_bytes != 0 ? options.span_bytes : connection.size_bytes()) / options.block_bytes) {
    if (block_count_ == 0) throw std::runtime_error("the device is smaller than a block");
  }

  /// Requests a second; flushes are not counted.
  double run() {
    const auto start = std::chrono::steady_clock::now();
    std::chrono::duration<double> took{};
    std::uint64_t done = 0;
    while (took.count() < options_.seconds) {
      done += options_.job == "barrier" ? barrier() : some();
      took = std::chrono::steady_clock::now() - start;
    }
    while (in_flight_ != 0)
      in_flight_ -= connection_.receive();
    return static_cast<double>(done) / took.count();
  }

 private:
  /// Keeps the queue full.
  std::uint32_t some() {
    fill(options_.job == "read" ? Command::read : Command::write);
    const std::uint32_t got = connection_.receive();
    in_flight_ -= got;
    return got;
  }
  /// As many writes as the queue is deep, wait, flush, wait.
  std::uint32_t barrier() {
    fill(Command::write);
    while (in_flight_ != 0)
      in_flight_ -= connection_.receive();
    connection_.queue(Command::flush, 0, 0);
    connection_.send();
    connection_.receive();
    return options_.depth;
  }
  void fill(Command command) {
    for (; in_flight_ < options_.depth; ++in_flight_)
      connection_.queue(command, next_block() * options_.block_bytes, options_.block_bytes);
    connection_.send();
  }
  std::uint64_t next_block() noexcept {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return (state_ >> 32) % block_count_;
  }

  const Options& options_;
  Connection& connection_;
  std::uint64_t block_count_;
  std::uint64_t state_ = 1;
  std::uint32_t in_flight_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Sends random requests to an NBD server and prints how many a second it answers");
  app.add_option("SOCKET", options.socket)->required();
  app.add_option("--job", options.job, "barrier: --depth writes, wait, flush, wait")
      ->check(CLI::IsMember({"write", "read", "barrier"}));
  app.add_option("--depth", options.depth)->check(CLI::Range(1, 4096));
  app.add_option("--block-size", options.block_bytes)->check(CLI::Range(512, 1 << 19));
  app.add_option("--span", options.span_bytes, "bytes of the device that are used; default: all");
  app.add_option("--seconds", options.seconds);
  CLI11_PARSE(app, argc, argv);
  try {
    Connection connection(options.socket);
    std::printf("%.1f\n", Load(options, connection).run());
    return 0;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "nbd_load: %s\n", problem.what());
    return 8;
  }
}
