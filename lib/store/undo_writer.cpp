// SPDX-License-Identifier: LGPL-2.1-or-later
// UndoWriter: the records of an undo log, each with a checksum and a link to the one before.
#include "store/undo_writer.hpp"

#include <algorithm>
#include <array>
#include <boost/crc.hpp>
#include <optional>
#include <vector>

#include "media/little_endian.hpp"
#include "reached.hpp"

namespace wc::store {
namespace {

using media::load_le;
using media::store_le;

// Layout of doc/undo-format.md. Header: magic, window size, window offset, zeros, checksum.
// Record: magic, kind, offset, length, sector, previous record, zeros, payload and record checksums.
constexpr std::uint64_t kLogMagic = 0x314f444e55435757;  // "WWCUNDO1"
constexpr std::uint32_t kRecordMagic = 0x52445557;       // "WUDR"
constexpr std::size_t kHeaderBytes = 64;
constexpr std::size_t kRecordBytes = 64;
constexpr std::size_t kChecksumOffset = 60;
constexpr std::size_t kPayloadChecksumOffset = 56;
constexpr std::size_t kCopyBytes = 64 << 10;

using Fixed = std::array<std::byte, kHeaderBytes>;
static_assert(kHeaderBytes == kRecordBytes);

std::uint32_t checksum(std::span<const std::byte> bytes) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

void seal(Fixed& fixed) {
  store_le(&fixed[kChecksumOffset], checksum(std::span(fixed).first(kChecksumOffset)));
}

bool is_sealed(const Fixed& fixed) {
  return load_le<std::uint32_t>(&fixed[kChecksumOffset]) ==
         checksum(std::span(fixed).first(kChecksumOffset));
}

Error not_an_undo_log(std::string context) {
  return {ErrorCode::invalid_argument, 0, 0, std::move(context)};
}

Fixed make_header(const DeviceInfo& cache) {
  Fixed out{};
  store_le(&out[0], kLogMagic);
  store_le(&out[8], cache.size_bytes);
  store_le(&out[16], cache.window_offset_bytes);
  seal(out);
  return out;
}

Result<void> check_header(UndoLog& log, const DeviceInfo& cache) {
  Fixed header{};
  if (auto read = log.read(0, header); !read) return read.error();
  if (load_le<std::uint64_t>(&header[0]) != kLogMagic || !is_sealed(header)) {
    return not_an_undo_log("not an undo file of wc-check");
  }
  if (load_le<std::uint64_t>(&header[8]) != cache.size_bytes ||
      load_le<std::uint64_t>(&header[16]) != cache.window_offset_bytes) {
    return not_an_undo_log(
        "the undo file belongs to another device: its size is " +
        std::to_string(load_le<std::uint64_t>(&header[8])) + " bytes at offset " +
        std::to_string(load_le<std::uint64_t>(&header[16])) + ", this one's " +
        std::to_string(cache.size_bytes) + " at offset " + std::to_string(cache.window_offset_bytes));
  }
  return {};
}

struct Parsed {
  UndoRecord record;
  std::uint64_t previous_bytes = 0;
  std::uint32_t payload_checksum = 0;
  std::uint64_t end_bytes = 0;
};

/// The record at `offset_bytes`, or nothing where no whole, sound record stands there.
Result<std::optional<Parsed>> read_record(UndoLog& log, std::uint64_t offset_bytes,
                                          std::uint64_t size_bytes, const DeviceInfo& cache) {
  const std::optional<Parsed> none;
  if (size_bytes - offset_bytes < kRecordBytes) return none;
  Fixed raw{};
  if (auto read = log.read(offset_bytes, raw); !read) return read.error();
  if (load_le<std::uint32_t>(&raw[0]) != kRecordMagic || !is_sealed(raw)) return none;
  Parsed out;
  const auto kind = load_le<std::uint32_t>(&raw[4]);
  if (kind < 1 || kind > 3) return none;
  out.record.kind = static_cast<UndoKind>(kind);
  out.record.offset_bytes = load_le<std::uint64_t>(&raw[8]);
  out.record.length_bytes = load_le<std::uint64_t>(&raw[16]);
  out.record.origin_sector = load_le<std::uint64_t>(&raw[24]);
  out.previous_bytes = load_le<std::uint64_t>(&raw[32]);
  out.payload_checksum = load_le<std::uint32_t>(&raw[kPayloadChecksumOffset]);
  out.record.payload_offset_bytes = offset_bytes + kRecordBytes;
  if (out.record.length_bytes > size_bytes - out.record.payload_offset_bytes) return none;
  out.end_bytes = out.record.payload_offset_bytes + out.record.length_bytes;
  if (out.record.length_bytes > cache.size_bytes ||
      out.record.offset_bytes > cache.size_bytes - out.record.length_bytes) {
    return none;
  }
  boost::crc_32_type crc;
  std::vector<std::byte> copy(std::min<std::uint64_t>(kCopyBytes, out.record.length_bytes));
  for (std::uint64_t at = out.record.payload_offset_bytes; at < out.end_bytes; at += copy.size()) {
    const auto part = std::span(copy).first(std::min<std::uint64_t>(copy.size(), out.end_bytes - at));
    if (auto read = log.read(at, part); !read) return read.error();
    crc.process_bytes(part.data(), part.size());
  }
  if (crc.checksum() != out.payload_checksum) return none;
  return std::optional<Parsed>{out};
}

struct LogEnd {
  std::uint64_t previous_bytes = 0;  ///< where the last whole record begins, 0 for none
  std::uint64_t end_bytes = kHeaderBytes;
};

/// True if a record that was appended later stands behind `offset_bytes`.
Result<bool> has_later_record(UndoLog& log, std::uint64_t offset_bytes, std::uint64_t size_bytes) {
  std::vector<std::byte> window(kCopyBytes + kRecordBytes);
  for (std::uint64_t at = offset_bytes + 1; at + kRecordBytes <= size_bytes; at += kCopyBytes) {
    const auto part = std::span(window).first(std::min<std::uint64_t>(window.size(), size_bytes - at));
    if (auto read = log.read(at, part); !read) return read.error();
    for (std::size_t i = 0; i + kRecordBytes <= part.size(); ++i) {
      if (load_le<std::uint32_t>(&part[i]) != kRecordMagic) continue;
      Fixed raw{};
      std::copy_n(part.begin() + static_cast<std::ptrdiff_t>(i), raw.size(), raw.begin());
      if (is_sealed(raw) && load_le<std::uint64_t>(&raw[32]) >= offset_bytes) return true;
    }
  }
  return false;
}

/// Finds the end of the whole records; what follows is a torn tail, and whole records behind it mean damage.
Result<LogEnd> find_end(UndoLog& log, std::uint64_t size_bytes, const DeviceInfo& cache) {
  LogEnd end;
  for (;;) {
    auto parsed = read_record(log, end.end_bytes, size_bytes, cache);
    if (!parsed) return parsed.error();
    if (!*parsed || (*parsed)->previous_bytes != end.previous_bytes) {
      auto later = has_later_record(log, end.end_bytes, size_bytes);
      if (!later) return later.error();
      if (!*later) return end;
      // Bytes that were synced and are not there any more: to undo only a part would mix old and new.
      WC_REACHED("undo: damaged in the middle");
      return not_an_undo_log("the undo file is damaged at byte " + std::to_string(end.end_bytes));
    }
    end.previous_bytes = end.end_bytes;
    end.end_bytes = (*parsed)->end_bytes;
  }
}

}  // namespace

Result<UndoWriter> UndoWriter::open(UndoLog& log, const DeviceInfo& cache) {
  auto size = log.size_bytes();
  if (!size) return size.error();
  const Fixed header = make_header(cache);
  if (*size < kHeaderBytes) {
    // An interrupted repair may have left a part of the header: it is ours only if it is its beginning.
    std::vector<std::byte> begun(*size);
    if (auto read = log.read(0, begun); !read) return read.error();
    if (!std::equal(begun.begin(), begun.end(), header.begin())) {
      return not_an_undo_log("not an undo file of wc-check, and not empty");
    }
    if (auto cut = log.truncate(0); !cut) return cut.error();
    if (auto written = log.append(header); !written) return written.error();
    return UndoWriter(log, 0, kHeaderBytes);
  }
  if (auto ours = check_header(log, cache); !ours) return ours.error();
  auto end = find_end(log, *size, cache);
  if (!end) return end.error();
  if (end->end_bytes < *size) {
    WC_REACHED("undo: torn tail dropped");
    if (auto cut = log.truncate(end->end_bytes); !cut) return cut.error();
  }
  return UndoWriter(log, end->previous_bytes, end->end_bytes);
}

Result<void> UndoWriter::append(const UndoRecord& record, std::span<const std::byte> payload) {
  Fixed raw{};
  store_le(&raw[0], kRecordMagic);
  store_le(&raw[4], static_cast<std::uint32_t>(record.kind));
  store_le(&raw[8], record.offset_bytes);
  store_le(&raw[16], record.length_bytes);
  store_le(&raw[24], record.origin_sector);
  store_le(&raw[32], previous_bytes_);
  store_le(&raw[kPayloadChecksumOffset], checksum(payload));
  seal(raw);
  if (failure_) return *failure_;
  if (auto written = remember(log_->append(raw)); !written) return written;
  if (!payload.empty()) {
    if (auto written = remember(log_->append(payload)); !written) return written;
  }
  previous_bytes_ = end_bytes_;
  end_bytes_ += kRecordBytes + payload.size();
  return {};
}

Result<void> UndoWriter::remember(Result<void> outcome) {
  if (!outcome) failure_ = outcome.error();
  return outcome;
}

Result<void> UndoWriter::sync() {
  if (failure_) return *failure_;
  return remember(log_->sync());
}

Result<void> UndoWriter::save(std::uint64_t offset_bytes, std::span<const std::byte> old_bytes) {
  return append({UndoKind::overwritten, offset_bytes, old_bytes.size(), 0, 0}, old_bytes);
}

Result<void> UndoWriter::save_block(std::uint64_t offset_bytes, Sector origin_sector,
                                    std::span<const std::byte> data) {
  return append({UndoKind::data_block, offset_bytes, data.size(), origin_sector, 0}, data);
}

Result<void> UndoWriter::barrier() { return append({UndoKind::barrier, 0, 0, 0, 0}, {}); }

Result<void> visit_undo_backwards(UndoLog& log, const DeviceInfo& cache,
                                  const std::function<Result<void>(const UndoRecord&)>& visit) {
  auto size = log.size_bytes();
  if (!size) return size.error();
  if (*size < kHeaderBytes) return not_an_undo_log("not an undo file of wc-check: too short");
  if (auto ours = check_header(log, cache); !ours) return ours.error();
  auto end = find_end(log, *size, cache);
  if (!end) return end.error();
  std::uint64_t at = end->previous_bytes;
  while (at != 0) {
    auto parsed = read_record(log, at, *size, cache);
    if (!parsed) return parsed.error();
    if (!*parsed || (*parsed)->previous_bytes >= at) {
      return not_an_undo_log("the undo file is damaged at byte " + std::to_string(at));
    }
    if (auto visited = visit((*parsed)->record); !visited) return visited;
    at = (*parsed)->previous_bytes;
  }
  return {};
}

}  // namespace wc::store
