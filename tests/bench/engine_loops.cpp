// SPDX-License-Identifier: LGPL-2.1-or-later
// Google Benchmark of the live engine without transport and without devices: memory stands for both. Type p goes
// through the PmemPort of production on memory that is taken for persistent; the limit is libpmem2's own persistent
// copy.
#include <benchmark/benchmark.h>
#include <libpmem2.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "io/pmem2_port.hpp"
#include "media/entry.hpp"
#include "media/superblock.hpp"
#include "writecache/engine.hpp"

namespace {

using namespace wc;

constexpr std::uint64_t kBlockBytes = 4096;
constexpr std::uint64_t kOriginBlocks = 1U << 28;

/// A file in memory, mapped: zeroed, and it costs only where it is touched.
class Area {
 public:
  explicit Area(std::uint64_t bytes)
      : bytes_(bytes),
        fd_(::memfd_create("area", MFD_CLOEXEC)),
        data_(static_cast<std::byte*>(
            ::ftruncate(fd_, static_cast<off_t>(bytes)) != 0
                ? MAP_FAILED
                : ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_, 0))) {
    if (data_ == MAP_FAILED) std::abort();
  }
  ~Area() {
    ::munmap(data_, bytes_);
    ::close(fd_);
  }
  Area(const Area&) = delete;
  Area& operator=(const Area&) = delete;
  std::span<std::byte> span() const noexcept { return {data_, bytes_}; }
  int fd() const noexcept { return fd_; }

 private:
  std::uint64_t bytes_;
  int fd_;
  std::byte* data_;
};

/// libpmem2 takes what is mapped from now on for persistent memory: cache lines are flushed.
void pretend_pmem() { ::setenv("PMEM2_FORCE_GRANULARITY", "CACHE_LINE", 1); }

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

std::unique_ptr<Pmem2Port> map_pmem(const Area& area) {
  pretend_pmem();
  auto port = Pmem2Port::create(UniqueFd(::dup(area.fd())), {0, area.span().size(), true});
  if (!port) std::abort();
  return std::move(*port);
}

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
        pmem(map_pmem(area)),
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
    auto opened = Engine::open({&port, options.type == CacheType::pmem ? pmem.get() : nullptr, &clock}, options);
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

  /// One write each of as many blocks as there are requests in `batch`, all at once.
  template <class NextBlock>
  void write_batch(NextBlock next_block) {
    for (Request& each : batch) {
      each.offset_bytes = next_block() * kBlockBytes;
      engine->submit(each);
    }
    for (std::size_t done = 0; done < batch.size();)
      done += engine->step(Wait::for_one);
  }
  void prepare_batch(std::size_t depth) {
    batch.resize(depth);
    for (Request& each : batch) {
      each.kind = RequestKind::write;
      each.memory = request.memory;
      each.on_done = [](Request&, Result<void> outcome) {
        if (!outcome) std::abort();
      };
    }
  }

  Area area;
  MemoryPort port;
  std::unique_ptr<Pmem2Port> pmem;
  StillClock clock;
  EngineOptions options;
  std::unique_ptr<std::byte, void (*)(void*)> buffer;
  Request request;
  std::vector<Request> batch;
  bool is_done = false;
  std::unique_ptr<Engine> engine;
};

constexpr std::uint64_t kBlocks = 1U << 16;
std::uint64_t spread(std::uint64_t i) { return i * 0x9e3779b97f4a7c15U >> 48; }  // below 2^16

CacheType type_of(const benchmark::State& state) { return state.range(0) == 0 ? CacheType::ssd : CacheType::pmem; }

/// Blocks of the cache touched, so that the first touch of a page is not measured.
void touch(const Area& area) { std::memset(area.span().data(), 1, area.span().size()); }

/// The limit of type p: libpmem2's persistent copy of a block to a random place.
void bare_persistent_copy(benchmark::State& state) {
  const Area area(2 * kBlocks * kBlockBytes);
  touch(area);
  pretend_pmem();
  pmem2_source* source = nullptr;
  pmem2_config* config = nullptr;
  pmem2_map* map = nullptr;
  if (::pmem2_source_from_fd(&source, area.fd()) != 0 || ::pmem2_config_new(&config) != 0 ||
      ::pmem2_config_set_required_store_granularity(config, PMEM2_GRANULARITY_PAGE) != 0 ||
      ::pmem2_map_new(&map, config, source) != 0) {
    std::abort();
  }
  auto* const data = static_cast<std::byte*>(::pmem2_map_get_address(map));
  const auto copy = ::pmem2_get_memcpy_fn(map);
  touch(area);
  const std::vector<std::byte> block(kBlockBytes, std::byte{1});
  std::uint64_t i = 0;
  for (auto _ : state)
    copy(data + spread(++i) * kBlockBytes, block.data(), kBlockBytes, 0);
  state.SetItemsProcessed(state.iterations());
  ::pmem2_map_delete(&map);
  ::pmem2_config_delete(&config);
  ::pmem2_source_delete(&source);
}
BENCHMARK(bare_persistent_copy);

/// The limit of type s, whose port here copies.
void bare_copy(benchmark::State& state) {
  const Area area(2 * kBlocks * kBlockBytes);
  touch(area);
  const std::vector<std::byte> block(kBlockBytes);
  std::uint64_t i = 0;
  for (auto _ : state) {
    std::memcpy(area.span().data() + spread(++i) * kBlockBytes, block.data(), kBlockBytes);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(bare_copy);

/// Random writes of one block, so many at once; the type's default decides when they are committed.
void write_random(benchmark::State& state) {
  Bench bench(type_of(state), 2 * kBlocks, 0, type_of(state) == CacheType::ssd ? 65536 : 64);
  bench.open();
  for (std::uint64_t i = 0; i < 3 * kBlocks; ++i)
    bench.run(RequestKind::write, i % kBlocks);
  bench.prepare_batch(static_cast<std::size_t>(state.range(1)));
  std::uint64_t i = 0;
  for (auto _ : state)
    bench.write_batch([&] { return spread(++i); });
  state.SetItemsProcessed(state.iterations() * state.range(1));
}
BENCHMARK(write_random)->ArgsProduct({{0, 1}, {1, 32}})->ArgNames({"pmem", "depth"});

void read_random(benchmark::State& state) {
  Bench bench(type_of(state), kBlocks, 0, 65536);
  bench.open();
  const bool hits = state.range(1) != 0;
  for (std::uint64_t i = 0; i < kBlocks; ++i)
    bench.run(RequestKind::write, i);
  std::uint64_t i = 0;
  for (auto _ : state)
    bench.run(RequestKind::read, (hits ? 0 : kBlocks) + spread(++i));
  state.SetItemsProcessed(state.iterations());
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
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
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
