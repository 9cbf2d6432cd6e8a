// SPDX-License-Identifier: LGPL-2.1-or-later
// Google Benchmark of the live engine without transport and without devices: memory stands for both.
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "media/entry.hpp"
#include "media/superblock.hpp"
#include "writecache/engine.hpp"

namespace {

using namespace wc;

constexpr std::uint64_t kBlockBytes = 4096;
constexpr std::uint64_t kOriginBlocks = 1U << 28;

/// Zeroed memory that costs only where it is touched.
class Area {
 public:
  explicit Area(std::uint64_t bytes)
      : bytes_(bytes),
        data_(static_cast<std::byte*>(
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    if (data_ == MAP_FAILED) std::abort();
  }
  ~Area() { ::munmap(data_, bytes_); }
  Area(const Area&) = delete;
  Area& operator=(const Area&) = delete;
  std::span<std::byte> span() const noexcept { return {data_, bytes_}; }

 private:
  std::uint64_t bytes_;
  std::byte* data_;
};

/// Operations are done in poll: copies for the cache, nothing at all for the origin.
class MemoryPort final : public IoPort {
 public:
  explicit MemoryPort(std::span<std::byte> cache) : cache_(cache) {}
  DeviceInfo info(DeviceId device) const noexcept override {
    DeviceInfo out;
    out.size_bytes = device == DeviceId::cache ? cache_.size() : kOriginBlocks * kBlockBytes;
    out.present = out.writable = out.size_bytes != 0;
    return out;
  }
  void submit(IoOp& op) noexcept override { queue_.push_back(&op); }
  std::size_t poll(Wait) override {
    done_.swap(queue_);
    for (IoOp* op : done_) {
      if (op->device == DeviceId::cache && op->kind == IoKind::read) {
        std::memcpy(op->memory.data(), cache_.data() + op->offset_bytes, op->memory.size());
      } else if (op->device == DeviceId::cache && op->kind == IoKind::write) {
        std::memcpy(cache_.data() + op->offset_bytes, op->memory.data(), op->memory.size());
      }
      op->on_done(*op, {});
    }
    const std::size_t count = done_.size();
    done_.clear();
    return count;
  }

 private:
  std::span<std::byte> cache_;
  std::vector<IoOp*> queue_;
  std::vector<IoOp*> done_;
};

class MemoryPmem final : public PmemPort {
 public:
  explicit MemoryPmem(std::span<std::byte> cache) : cache_(cache) {}
  std::span<const std::byte> view() const noexcept override { return cache_; }
  void store(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
    std::memcpy(cache_.data() + offset, data.data(), data.size());
  }
  void flush(std::uint64_t, std::uint64_t) noexcept override {}
  Result<void> fence() override { return {}; }

 private:
  std::span<std::byte> cache_;
};

class StillClock final : public Clock {
 public:
  std::uint64_t now_ns() noexcept override { return 1; }
  void sleep_ns(std::uint64_t) override {}
};

/// `live` entries over an origin, at sectors that look random.
void make_cache(std::span<std::byte> cache, std::uint64_t n_blocks, std::uint64_t live) {
  Superblock superblock;
  superblock.block_size = kBlockBytes;
  superblock.n_blocks = n_blocks;
  superblock.seq_count = 1000;
  media::encode_superblock(superblock, cache.first<kSuperblockBytes>());
  for (std::uint64_t i = 0; i < n_blocks; ++i) {
    const std::uint64_t block = (i * 0x9e3779b97f4a7c15U) % kOriginBlocks;
    media::store_entry(cache.data() + Geometry::entry_offset_bytes(i), i < live ? Entry{block * 8, i % 1000} : Entry{});
  }
}

struct Bench {
  Bench(CacheType type, std::uint64_t n_blocks, std::uint64_t live, std::uint32_t autocommit_blocks)
      : area(round_up(kSuperblockBytes + kEntryBytes * n_blocks, kBlockBytes) + n_blocks * kBlockBytes),
        port(type == CacheType::ssd ? area.span() : std::span<std::byte>()),
        pmem(area.span()),
        buffer(static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, kBlockBytes)), &std::free) {
    make_cache(area.span(), n_blocks, live);
    options.type = type;
    options.autocommit_blocks = autocommit_blocks;
    options.high_watermark_percent = options.low_watermark_percent = 100;
    std::memset(buffer.get(), 1, kBlockBytes);
    request.memory = {buffer.get(), kBlockBytes};
    request.owner = this;
    request.on_done = [](Request& done, Result<void> outcome) {
      if (!outcome) std::abort();
      static_cast<Bench*>(done.owner)->is_done = true;
    };
  }
  void open() {
    auto opened = Engine::open({&port, options.type == CacheType::pmem ? &pmem : nullptr, &clock}, options);
    if (!opened) std::abort();
    engine = std::move(*opened);
  }
  void run(RequestKind kind, std::uint64_t block) {
    request.kind = kind;
    request.offset_bytes = block * kBlockBytes;
    is_done = false;
    engine->submit(request);
    while (!is_done)
      engine->step(Wait::for_one);
  }

  Area area;
  MemoryPort port;
  MemoryPmem pmem;
  StillClock clock;
  EngineOptions options;
  std::unique_ptr<std::byte, void (*)(void*)> buffer;
  Request request;
  bool is_done = false;
  std::unique_ptr<Engine> engine;
};

constexpr std::uint64_t kBlocks = 1U << 16;
std::uint64_t spread(std::uint64_t i) { return i * 0x9e3779b97f4a7c15U >> 48; }  // below 2^16

CacheType type_of(const benchmark::State& state) { return state.range(0) == 0 ? CacheType::ssd : CacheType::pmem; }

void bare_copy(benchmark::State& state) {
  const Area area(kBlocks * kBlockBytes);
  std::vector<std::byte> block(kBlockBytes);
  std::memset(area.span().data(), 1, area.span().size());
  std::uint64_t i = 0;
  for (auto _ : state) {
    std::memcpy(area.span().data() + spread(++i) * kBlockBytes, block.data(), kBlockBytes);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(bare_copy);

/// Random writes of one block; the type's default decides when they are committed.
void write_random(benchmark::State& state) {
  Bench bench(type_of(state), 2 * kBlocks, 0, type_of(state) == CacheType::ssd ? 65536 : 64);
  std::memset(bench.area.span().data() + bench.area.span().size() / 2, 1, bench.area.span().size() / 2);
  bench.open();
  for (std::uint64_t i = 0; i < kBlocks; ++i)
    bench.run(RequestKind::write, i);
  std::uint64_t i = 0;
  for (auto _ : state)
    bench.run(RequestKind::write, spread(++i));
}
BENCHMARK(write_random)->Arg(0)->Arg(1)->ArgName("pmem");

void read_random(benchmark::State& state) {
  Bench bench(type_of(state), kBlocks, 0, 65536);
  bench.open();
  const bool hits = state.range(1) != 0;
  for (std::uint64_t i = 0; i < kBlocks; ++i)
    bench.run(RequestKind::write, i);
  std::uint64_t i = 0;
  for (auto _ : state)
    bench.run(RequestKind::read, (hits ? 0 : kBlocks) + spread(++i));
}
BENCHMARK(read_random)->Args({0, 1})->Args({0, 0})->Args({1, 1})->Args({1, 0})->ArgNames({"pmem", "hit"});

/// A flush after so many writes of one block; the writes are not timed.
void commit(benchmark::State& state) {
  const auto count = static_cast<std::uint64_t>(state.range(1));
  Bench bench(type_of(state), 2 * kBlocks, 0, 1U << 30);
  bench.open();
  for (auto _ : state) {
    state.PauseTiming();
    for (std::uint64_t i = 0; i < count; ++i)
      bench.run(RequestKind::write, i);
    state.ResumeTiming();
    bench.run(RequestKind::flush, 0);
    state.PauseTiming();
    bench.request.length_bytes = count * kBlockBytes;
    bench.run(RequestKind::discard, 0);
    state.ResumeTiming();
  }
}
BENCHMARK(commit)->ArgsProduct({{0, 1}, {1, 64}})->ArgNames({"pmem", "blocks"});
BENCHMARK(commit)->ArgsProduct({{0, 1}, {65536}})->ArgNames({"pmem", "blocks"})->Iterations(10);

/// Reading the metadata once, for comparison with the start.
void read_metadata(benchmark::State& state) {
  const auto n_blocks = static_cast<std::uint64_t>(state.range(0));
  const Area area(round_up(kSuperblockBytes + kEntryBytes * n_blocks, kBlockBytes));
  make_cache(area.span(), n_blocks, n_blocks);
  std::vector<std::byte> chunk(1U << 20);
  for (auto _ : state) {
    for (std::uint64_t at = 0; at + chunk.size() <= area.span().size(); at += chunk.size()) {
      std::memcpy(chunk.data(), area.span().data() + at, chunk.size());
      benchmark::ClobberMemory();
    }
  }
}
BENCHMARK(read_metadata)->Arg(1 << 24)->Unit(benchmark::kMillisecond);

void start(benchmark::State& state) {
  const auto n_blocks = static_cast<std::uint64_t>(state.range(0));
  Bench bench(CacheType::ssd, n_blocks, n_blocks, 65536);
  for (auto _ : state) {
    bench.open();
    state.PauseTiming();
    bench.engine.reset();
    state.ResumeTiming();
  }
}
BENCHMARK(start)->Arg(1 << 20)->Arg(1 << 24)->Unit(benchmark::kMillisecond);

}  // namespace
