// SPDX-License-Identifier: LGPL-2.1-or-later
// DumpReader: reads the JSON of `wc-dump --json --entries=all` entry by entry, in constant memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "writecache/format.hpp"
#include "writecache/result.hpp"

namespace wc::tools {

/// What a dump says about the cache it was made from.
struct DumpSummary {
  std::uint32_t block_bytes = 0;
  std::uint64_t n_blocks = 0;
  Sequence seq_count = 0;
  std::uint64_t entries = 0;             ///< how many the dump lists
  std::optional<BlockIndex> last_index;  ///< of the last one
};

/// Untrusted text: every token and every nesting is bounded, every number checked.
class DumpReader final : public EntrySource {
 public:
  /// Reads the whole file once and checks everything, before a device is touched.
  /// Errors: not_found, permission, io, invalid_argument (not a regular file, not such a dump).
  static Result<DumpSummary> check_file(const std::string& path);

  /// Opens it again to hand out the entries. Errors: as check_file.
  static Result<std::unique_ptr<DumpReader>> open(const std::string& path);

  ~DumpReader() override;
  DumpReader(const DumpReader&) = delete;
  DumpReader& operator=(const DumpReader&) = delete;

  /// The next entry, ascending. Errors: invalid_argument with the byte at which the text is wrong, io.
  Result<std::optional<Item>> next() override;

 private:
  class Input;

  explicit DumpReader(std::unique_ptr<Input> input);

  Result<bool> enter_next_member(std::string& key);
  Result<void> read_member(const std::string& key);
  Result<void> skip_value();
  Result<void> read_superblock();
  Result<void> read_schema();
  Result<void> finish();
  Result<bool> next_in_list();
  Result<std::optional<Item>> read_entry();
  Error syntax_error(const std::string& what);

  std::unique_ptr<Input> input_;
  bool is_started_ = false;
  bool is_first_member_ = true;
  bool is_in_list_ = false;
  bool is_first_in_list_ = true;
  bool is_finished_ = false;
  bool has_list_ = false;
  bool has_schema_ = false;
  std::optional<BlockIndex> last_index_;
  std::uint64_t entries_ = 0;
  std::optional<DumpSummary> superblock_;
};

}  // namespace wc::tools
