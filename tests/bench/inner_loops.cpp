// SPDX-License-Identifier: LGPL-2.1-or-later
// Google Benchmark of the loops that decide how fast the commands are, on memory alone.
#include <benchmark/benchmark.h>

#include <cstring>
#include <deque>
#include <vector>

#include "media/entry.hpp"
#include "store/ordered_entries.hpp"
#include "store/scan.hpp"

namespace {

using namespace wc;

/// A cache of which only the metadata exist; reads are copies.
class MemoryPort final : public IoPort {
 public:
  MemoryPort(std::uint64_t n_blocks, std::uint64_t origin_blocks) : bytes_(round_up(64 + 16 * n_blocks, 4096)) {
    for (std::uint64_t i = 0; i < n_blocks; ++i) {
      const std::uint64_t block = (i * 0x9e3779b97f4a7c15U) % origin_blocks;
      media::store_entry(bytes_.data() + 64 + 16 * i, {block * 8, i % 1000});
    }
  }
  DeviceInfo info(DeviceId device) const noexcept override {
    DeviceInfo out;
    out.present = device == DeviceId::cache;
    out.size_bytes = out.present ? bytes_.size() * 300 : 0;
    return out;
  }
  void submit(IoOp& op) noexcept override { queue_.push_back(&op); }
  std::size_t poll(Wait) override {
    const std::size_t count = queue_.size();
    for (std::size_t i = 0; i < count; ++i) {
      IoOp* op = queue_.front();
      queue_.pop_front();
      std::memcpy(op->memory.data(), bytes_.data() + op->offset_bytes, op->memory.size());
      op->on_done(*op, {});
    }
    return count;
  }

 private:
  std::vector<std::byte> bytes_;
  std::deque<IoOp*> queue_;
};

constexpr std::uint64_t kBlocks = 1U << 22;
// Coprime to the multiplier above: every entry has a sector of its own.
constexpr std::uint64_t kOriginBlocks = 1U << 28;

void scan_entries(benchmark::State& state) {
  MemoryPort port(kBlocks, kOriginBlocks);
  const Geometry geometry{4096, kBlocks, round_up(64 + 16 * kBlocks, 4096)};
  Observer observer;
  for (auto _ : state) {
    auto scan = store::Scan::run(port, geometry, 1000, {}, observer);
    benchmark::DoNotOptimize(scan->counts().live);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBlocks));
}
BENCHMARK(scan_entries)->Unit(benchmark::kMillisecond);

void stream_entries(benchmark::State& state) {
  MemoryPort port(kBlocks, kOriginBlocks);
  for (auto _ : state) {
    store::EntryStream stream(port, 0, kBlocks);
    std::uint64_t committed = 0;
    for (auto batch = stream.next(); *batch; batch = stream.next()) {
      for (std::size_t i = 0; i < (*batch)->count; ++i) committed += (**batch)[i].seq_count < 1000 ? 1 : 0;
    }
    benchmark::DoNotOptimize(committed);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBlocks));
}
BENCHMARK(stream_entries)->Unit(benchmark::kMillisecond);

void order_entries(benchmark::State& state) {
  MemoryPort port(kBlocks, kOriginBlocks);
  const Geometry geometry{4096, kBlocks, round_up(64 + 16 * kBlocks, 4096)};
  Observer observer;
  const auto scan = store::Scan::run(port, geometry, 1000, {}, observer);
  for (auto _ : state) {
    store::OrderedEntries ordered(*scan, EntryStateSet{}.with(EntryState::live), EntryOrder::sector,
                                  std::uint64_t{256} << 20);
    std::uint64_t count = 0;
    for (auto round = ordered.next_round(observer); !round->empty(); round = ordered.next_round(observer)) {
      count += round->size();
    }
    benchmark::DoNotOptimize(count);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBlocks));
}
BENCHMARK(order_entries)->Unit(benchmark::kMillisecond);

void encode_entries(benchmark::State& state) {
  std::vector<std::byte> raw(1U << 20);
  for (auto _ : state) {
    for (std::size_t i = 0; i < raw.size(); i += 16) media::store_entry(raw.data() + i, {i, i});
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * raw.size()));
}
BENCHMARK(encode_entries);

}  // namespace
