// SPDX-License-Identifier: LGPL-2.1-or-later
// EngineBench: an engine on a simulated machine, with requests that are made one at a time or left in flight.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "sim/bytes.hpp"
#include "sim/image_builder.hpp"
#include "sim/machine.hpp"
#include "sim/oracle.hpp"
#include "writecache/engine.hpp"

namespace wc::test {

/// A request with aligned memory of its own and its outcome.
struct TestRequest {
  TestRequest(RequestKind kind, std::uint64_t offset_bytes, std::size_t bytes) {
    request.kind = kind;
    request.offset_bytes = offset_bytes;
    request.owner = this;
    request.on_done = [](Request& done, Result<void> result) {
      static_cast<TestRequest*>(done.owner)->outcome = std::move(result);
    };
    if (kind == RequestKind::discard) request.length_bytes = bytes;
    if (kind != RequestKind::read && kind != RequestKind::write) return;
    memory.reset(
        static_cast<std::byte*>(std::aligned_alloc(kIoAlignmentBytes, round_up(bytes + 1, kIoAlignmentBytes))));
    request.memory = {memory.get(), bytes};
  }
  struct Free {
    void operator()(std::byte* pointer) const noexcept { std::free(pointer); }
  };
  Request request;
  std::unique_ptr<std::byte, Free> memory;
  std::optional<Result<void>> outcome;
};

class EngineBench {
 public:
  EngineBench(const EngineOptions& options, std::uint64_t cache_blocks, std::uint64_t origin_blocks)
      : EngineBench(options, sim::ImageBuilder(options.block_bytes, cache_blocks).seq_count(5).build(),
                    sim::make_origin(origin_blocks * options.block_bytes / kSectorBytes)) {}
  EngineBench(const EngineOptions& options, sim::Bytes cache, sim::Bytes origin)
      : machine(sim::MachineImage{std::move(cache), std::move(origin), {}},
                {.has_pmem = options.type == CacheType::pmem}, 1),
        block_bytes(options.block_bytes) {
    auto opened = Engine::open({&machine.disk, machine.pmem(), &machine.clock}, options);
    if (opened) {
      engine = std::move(*opened);
    } else {
      error = opened.error();
    }
  }

  Result<void> wait(TestRequest& request) {
    while (!request.outcome)
      engine->step(Wait::for_one);
    return *request.outcome;
  }
  /// Leaves a write of whole blocks in flight; its content is pattern(tag).
  std::unique_ptr<TestRequest> start_write(std::uint64_t block, std::uint64_t count, std::uint64_t tag) {
    return start_write_bytes(block * block_bytes, count * block_bytes, tag);
  }
  std::unique_ptr<TestRequest> start_write_bytes(std::uint64_t offset, std::uint64_t bytes, std::uint64_t tag) {
    auto request = std::make_unique<TestRequest>(RequestKind::write, offset, bytes);
    const auto content = sim::pattern(tag, bytes);
    std::copy(content.begin(), content.end(), request->memory.get());
    engine->submit(request->request);
    return request;
  }
  Result<void> write(std::uint64_t block, std::uint64_t count, std::uint64_t tag) {
    return wait(*start_write(block, count, tag));
  }
  Result<void> flush() {
    TestRequest request(RequestKind::flush, 0, 0);
    engine->submit(request.request);
    return wait(request);
  }
  Result<void> discard(std::uint64_t block, std::uint64_t count) {
    TestRequest request(RequestKind::discard, block * block_bytes, count * block_bytes);
    engine->submit(request.request);
    return wait(request);
  }
  sim::Bytes read_bytes(std::uint64_t offset, std::uint64_t bytes) {
    TestRequest request(RequestKind::read, offset, bytes);
    engine->submit(request.request);
    EXPECT_TRUE(wait(request).has_value());
    return {request.memory.get(), request.memory.get() + bytes};
  }
  sim::Bytes read(std::uint64_t block, std::uint64_t count = 1) {
    return read_bytes(block * block_bytes, count * block_bytes);
  }
  Result<void> control(ControlKind kind) {
    std::optional<Result<void>> outcome;
    Control message;
    message.kind = kind;
    message.owner = &outcome;
    message.on_done = [](Control& done, Result<void> result) {
      *static_cast<std::optional<Result<void>>*>(done.owner) = std::move(result);
    };
    engine->submit(message);
    while (!outcome)
      engine->step(Wait::for_one);
    return *outcome;
  }
  /// Goes on until nothing happens by itself any more, without letting time pass.
  void settle() {
    do {
      engine->step(Wait::for_one);
    } while (engine->has_io_in_flight() || engine->is_busy());
  }
  sim::Bytes origin_block(std::uint64_t block) const {
    const auto bytes = machine.disk.content(DeviceId::origin);
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(block * block_bytes);
    return {begin, begin + static_cast<std::ptrdiff_t>(block_bytes)};
  }
  /// What a crash that keeps nothing volatile leaves.
  sim::Bytes merged_after_crash() const {
    const auto image = machine.durable();
    return sim::merged_content(image.cache, image.origin).origin;
  }

  sim::Machine machine;
  std::uint64_t block_bytes;
  std::unique_ptr<Engine> engine;
  std::optional<Error> error;
};

/// One block's content as start_write() makes it: block `index` of a request.
inline sim::Bytes block_pattern(std::uint64_t tag, std::uint64_t block_bytes, std::uint64_t index = 0) {
  const auto whole = sim::pattern(tag, (index + 1) * block_bytes);
  return {whole.begin() + static_cast<std::ptrdiff_t>(index * block_bytes), whole.end()};
}

inline EngineOptions ssd_options(std::uint32_t block_bytes = 4096) {
  EngineOptions options;
  options.block_bytes = block_bytes;
  options.pause_writeback_ms = 0;
  return options;
}
inline EngineOptions pmem_options(std::uint32_t block_bytes = 4096) {
  EngineOptions options;
  options.type = CacheType::pmem;
  options.block_bytes = block_bytes;
  return options;
}

}  // namespace wc::test
