// SPDX-License-Identifier: LGPL-2.1-or-later
// Fuzz target: applying and continuing arbitrary bytes as an undo log.
#include <array>
#include <boost/crc.hpp>
#include <utility>

#include "fuzz/fuzz_input.hpp"
#include "fuzz/memory_port.hpp"
#include "sim/memory_undo_log.hpp"
#include "store/undo_writer.hpp"
#include "writecache/check.hpp"

namespace wc::fuzz {
namespace {

using sim::Bytes;

constexpr std::size_t kDeviceBytes = 16 << 10;
constexpr std::size_t kFixedBytes = 64;

std::uint32_t checksum(std::span<const std::byte> bytes) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

void seal(std::span<std::byte> fixed) { sim::store_u32(fixed, 60, checksum(fixed.first(60))); }

Bytes valid_header() {
  Bytes header(kFixedBytes);
  sim::store_u64(header, 0, 0x314f444e55435757U);
  sim::store_u64(header, 8, kDeviceBytes);
  seal(header);
  return header;
}

/// Records from numbers, with right checksums unless the input says otherwise: a fuzzer does not find those by itself.
Bytes built_log(FuzzInput& input) {
  Bytes log = valid_header();
  std::size_t previous = 0;
  while (input.size() >= 4) {
    const std::uint8_t what = input.u8();
    Bytes record(kFixedBytes);
    sim::store_u32(record, 0, 0x52445557U);
    sim::store_u32(record, 4, (what & 8U) != 0 ? input.u32() : 1 + what % 4U);
    sim::store_u64(record, 8, (what & 16U) != 0 ? input.u64() : input.u16());
    const std::size_t length = input.u8() * (1U + what % 3U);
    const auto payload = input.bytes(length);
    sim::store_u64(record, 16, (what & 32U) != 0 ? input.u64() : payload.size());
    sim::store_u64(record, 32, (what & 64U) != 0 ? input.u16() : previous);
    sim::store_u32(record, 56, checksum(payload));
    seal(record);
    if ((what & 128U) != 0) record[input.u8() % kFixedBytes] ^= std::byte{1};
    previous = log.size();
    log.insert(log.end(), record.begin(), record.end());
    log.insert(log.end(), payload.begin(), payload.end());
  }
  return log;
}

/// What the log means, from doc/undo-format.md: the records up to the first that is not whole, applied backwards. Nothing
/// where it is no log of this device.
std::optional<Bytes> apply_reference(const Bytes& log, Bytes device) {
  const Bytes header = valid_header();
  if (log.size() < kFixedBytes || !std::equal(header.begin(), header.begin() + 24, log.begin())) return std::nullopt;
  if (sim::load_u32(log, 60) != checksum(std::span(log).first(60))) return std::nullopt;
  std::vector<std::size_t> records;
  for (std::size_t at = kFixedBytes; log.size() - at >= kFixedBytes;) {
    const auto record = std::span(log).subspan(at);
    const std::uint64_t offset = sim::load_u64(record, 8);
    const std::uint64_t length = sim::load_u64(record, 16);
    const std::uint32_t kind = sim::load_u32(record, 4);
    const bool is_whole = sim::load_u32(record, 0) == 0x52445557U && kind >= 1 && kind <= 3 &&
                          sim::load_u32(record, 60) == checksum(record.first(60)) &&
                          length <= record.size() - kFixedBytes && length <= device.size() &&
                          offset <= device.size() - length &&
                          sim::load_u64(record, 32) == (records.empty() ? 0 : records.back()) &&
                          sim::load_u32(record, 56) == checksum(record.subspan(kFixedBytes, length));
    if (!is_whole) break;
    records.push_back(at);
    at += kFixedBytes + length;
  }
  while (!records.empty()) {
    const auto record = std::span(log).subspan(records.back());
    records.pop_back();
    if (sim::load_u32(record, 4) != 1) continue;
    const auto payload = record.subspan(kFixedBytes, sim::load_u64(record, 16));
    std::copy(payload.begin(), payload.end(),
              device.begin() + static_cast<std::ptrdiff_t>(sim::load_u64(record, 8)));
  }
  return device;
}

void run(FuzzInput input) {
  const bool is_raw = (input.u8() & 1U) != 0;
  Bytes log;
  if (is_raw) {
    const auto all = input.rest();
    log.assign(all.begin(), all.end());
  } else {
    log = built_log(input);
  }
  const Bytes before = sim::pattern(7, kDeviceBytes);
  const auto expected = apply_reference(log, before);

  MemoryPort port({before}, {});
  sim::SimPower power;
  sim::MemoryUndoLog undo(log, 1, power);
  Observer observer;
  const auto applied = apply_undo(port, undo, observer);
  require(applied.has_value() == expected.has_value(), "apply_undo and the reference disagree on what an undo log is");
  require(port.content(DeviceId::cache) == expected.value_or(before), "apply_undo wrote something else than the log says");
  require(undo.content() == log, "apply_undo changed the log");

  // An interrupted repair goes on with the log: everything whole is kept, and what is added can be undone.
  MemoryPort second({before}, {});
  auto writer = store::UndoWriter::open(undo, second.info(DeviceId::cache));
  if (!writer) {
    require(undo.content() == log, "a log that was refused was changed");
    return;
  }
  const std::array<std::byte, 512> added{};
  require(writer->save(1024, added) && writer->barrier() && writer->sync(), "a log cannot be continued");
  require(apply_undo(second, undo, observer).has_value(), "a continued log cannot be applied");
  Bytes with_added = before;
  std::copy(added.begin(), added.end(), with_added.begin() + 1024);
  require(second.content(DeviceId::cache) == apply_reference(log, with_added).value_or(with_added),
          "a continued log lost records");
}

}  // namespace
}  // namespace wc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wc::fuzz::run({data, size});
  return 0;
}
