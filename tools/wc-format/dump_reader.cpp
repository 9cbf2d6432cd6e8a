// SPDX-License-Identifier: LGPL-2.1-or-later
// DumpReader: a pull reader for the outer object; nlohmann's SAX parser reads the values in it.
#include "wc-format/dump_reader.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <istream>
#include <limits>
#include <nlohmann/json.hpp>
#include <streambuf>
#include <string_view>
#include <utility>
#include <vector>

namespace wc::tools {
namespace {

using nlohmann::json;

constexpr std::size_t kDepthMax = 16;
constexpr std::size_t kKeyBytesMax = 256;
/// Longest text between two events of the parser; a longer token is refused.
constexpr std::uint64_t kTokenBytesMax = std::uint64_t{1} << 20;

/// Reads a descriptor in pieces, counts bytes, and ends early when a token grows too long.
class BoundedBuffer final : public std::streambuf {
 public:
  explicit BoundedBuffer(int fd) : fd_(fd) {}
  ~BoundedBuffer() override { ::close(fd_); }
  BoundedBuffer(const BoundedBuffer&) = delete;
  BoundedBuffer& operator=(const BoundedBuffer&) = delete;

  std::uint64_t position() const noexcept { return filled_ - static_cast<std::uint64_t>(egptr() - gptr()); }
  void begin_token() noexcept { token_begin_ = position(); }
  int read_errno() const noexcept { return read_errno_; }
  bool is_token_too_long() const noexcept { return too_long_; }

 protected:
  int underflow() override {
    if (gptr() != egptr()) return traits_type::to_int_type(*gptr());
    if (position() - token_begin_ > kTokenBytesMax) too_long_ = true;
    if (too_long_ || read_errno_ != 0) return traits_type::eof();
    ssize_t count = 0;
    do {
      count = ::read(fd_, buffer_.data(), buffer_.size());
    } while (count < 0 && errno == EINTR);
    if (count < 0) read_errno_ = errno;
    if (count <= 0) return traits_type::eof();
    filled_ += static_cast<std::uint64_t>(count);
    setg(buffer_.data(), buffer_.data(), buffer_.data() + count);
    return traits_type::to_int_type(*gptr());
  }

 private:
  int fd_;
  std::uint64_t filled_ = 0;
  std::uint64_t token_begin_ = 0;
  int read_errno_ = 0;
  bool too_long_ = false;
  std::array<char, std::size_t{64} << 10> buffer_{};
};

/// Takes the members of one flat object; bounds the depth of what it does not know.
class ObjectReader : public nlohmann::json_sax<json> {
 public:
  explicit ObjectReader(BoundedBuffer& buffer) : buffer_(buffer) {}

  const std::string& problem() const noexcept { return problem_; }

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return other_value(); }
  bool number_unsigned(number_unsigned_t number) override {
    buffer_.begin_token();
    return depth_ != 1 || on_number(key_, number);
  }
  bool number_float(number_float_t, const string_t&) override { return other_value(); }
  bool string(string_t& text) override {
    buffer_.begin_token();
    return depth_ != 1 || on_text(key_, text);
  }
  bool binary(binary_t&) override { return value(); }
  bool start_object(std::size_t) override { return enter(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    buffer_.begin_token();
    if (depth_ == 1) key_ = name.size() <= kKeyBytesMax ? name : std::string();
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception& error) override {
    if (problem_.empty()) problem_ = error.what();
    return false;
  }

 protected:
  virtual bool on_number(const std::string& key, std::uint64_t number) = 0;
  virtual bool on_text(const std::string& key, const std::string& text) = 0;
  virtual bool on_bad_number(const std::string&) { return true; }
  bool refuse(const std::string& problem) {
    problem_ = problem;
    return false;
  }

 private:
  bool value() {
    buffer_.begin_token();
    return true;
  }
  bool other_value() {
    buffer_.begin_token();
    return depth_ != 1 || on_bad_number(key_);
  }
  bool enter() {
    buffer_.begin_token();
    if (depth_ == kDepthMax) return refuse("is nested too deeply");
    ++depth_;
    return true;
  }
  bool leave() {
    buffer_.begin_token();
    --depth_;
    return true;
  }

  BoundedBuffer& buffer_;
  std::size_t depth_ = 0;
  std::string key_;
  std::string problem_;
};

/// Skips a value of any shape.
class SkippedValue final : public ObjectReader {
 public:
  using ObjectReader::ObjectReader;

 protected:
  bool on_number(const std::string&, std::uint64_t) override { return true; }
  bool on_text(const std::string&, const std::string&) override { return true; }
};

/// Keeps the unsigned numbers and short texts that were asked for.
class NumbersReader final : public ObjectReader {
 public:
  struct Wanted {
    std::string_view key;
    std::optional<std::uint64_t>* number;
  };
  NumbersReader(BoundedBuffer& buffer, std::vector<Wanted> wanted) : ObjectReader(buffer), wanted_(std::move(wanted)) {}

  const std::optional<std::string>& state() const noexcept { return state_; }

 protected:
  bool on_number(const std::string& key, std::uint64_t number) override {
    for (const Wanted& wanted : wanted_) {
      if (wanted.key != key) continue;
      if (wanted.number->has_value()) return refuse("says `" + key + "` twice");
      *wanted.number = number;
    }
    return true;
  }
  bool on_text(const std::string& key, const std::string& text) override {
    if (key == "state") state_ = text.substr(0, kKeyBytesMax);
    return true;
  }
  bool on_bad_number(const std::string& key) override {
    for (const Wanted& wanted : wanted_) {
      if (wanted.key == key) return refuse("has a number for `" + key + "` that is no unsigned 64-bit integer");
    }
    return true;
  }

 private:
  std::vector<Wanted> wanted_;
  std::optional<std::string> state_;
};

bool is_blank(int character) { return character == ' ' || character == '\t' || character == '\n' || character == '\r'; }

bool is_number_character(int character) {
  return (character >= '0' && character <= '9') || character == '-' || character == '+' || character == '.' ||
         character == 'e' || character == 'E';
}

}  // namespace

/// The stream with its buffer, and the few looks ahead that the outer object needs.
class DumpReader::Input {
 public:
  explicit Input(int fd) : buffer(fd), stream(&buffer) {}

  /// The next character that is not blank, still unread; -1 at the end.
  int peek() {
    buffer.begin_token();
    while (is_blank(buffer.sgetc())) {
      buffer.sbumpc();
      buffer.begin_token();
    }
    return buffer.sgetc();
  }
  bool take(char expected) {
    if (peek() != expected) return false;
    buffer.sbumpc();
    return true;
  }
  /// One value by the SAX parser; it stops behind the value.
  bool parse(ObjectReader& reader) {
    stream.clear();
    return json::sax_parse(stream, &reader, json::input_format_t::json, false);
  }

  BoundedBuffer buffer;
  std::istream stream;
};

DumpReader::DumpReader(std::unique_ptr<Input> input) : input_(std::move(input)) {}
DumpReader::~DumpReader() = default;

Error DumpReader::syntax_error(const std::string& what) {
  if (input_->buffer.read_errno() != 0) return Error{ErrorCode::io, input_->buffer.read_errno(), 0, "cannot be read"};
  const std::string text = input_->buffer.is_token_too_long() ? "holds a token that is too long" : what;
  return Error{ErrorCode::invalid_argument, 0, input_->buffer.position(),
               text + ", near byte " + std::to_string(input_->buffer.position()) +
                   " (make the file with `wc-dump --json --entries=all`)"};
}

Result<std::unique_ptr<DumpReader>> DumpReader::open(const std::string& path) {
  // O_NONBLOCK: a FIFO must not make the command wait.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    const int error = errno;
    const ErrorCode code = error == ENOENT                     ? ErrorCode::not_found
                           : error == EACCES || error == EPERM ? ErrorCode::permission
                                                               : ErrorCode::io;
    return Error{code, error, 0, "cannot be opened"};
  }
  auto input = std::make_unique<Input>(fd);  // closes fd
  struct stat status {};
  if (::fstat(fd, &status) != 0) return Error{ErrorCode::io, errno, 0, "cannot be examined"};
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorCode::invalid_argument, 0, 0,
                 "is not a regular file (it is read twice; save the dump in a file)"};
  }
  return std::unique_ptr<DumpReader>(new DumpReader(std::move(input)));
}

Result<DumpSummary> DumpReader::check_file(const std::string& path) {
  auto reader = open(path);
  if (!reader) return reader.error();
  for (;;) {
    const auto item = (*reader)->next();
    if (!item) return item.error();
    if (!item->has_value()) break;
  }
  const DumpReader& done = **reader;
  DumpSummary summary = *done.superblock_;
  summary.entries = done.entries_;
  summary.last_index = done.last_index_;
  return summary;
}

Result<std::optional<EntrySource::Item>> DumpReader::next() {
  if (!is_started_) {
    is_started_ = true;
    if (!input_->take('{')) return syntax_error("is not a JSON object");
  }
  for (;;) {
    if (is_finished_) return std::optional<Item>{};
    if (is_in_list_) {
      const auto has_entry = next_in_list();
      if (!has_entry) return has_entry.error();
      if (*has_entry) return read_entry();
      continue;
    }
    std::string key;
    const auto has_member = enter_next_member(key);
    if (!has_member) return has_member.error();
    const auto done = *has_member ? read_member(key) : finish();
    if (!done) return done.error();
  }
}

/// Reads up to and including the colon; false at the end of the object.
Result<bool> DumpReader::enter_next_member(std::string& key) {
  if (input_->take('}')) return false;
  if (!is_first_member_ && !input_->take(',')) return syntax_error("lacks a comma between two members");
  is_first_member_ = false;
  if (!input_->take('"')) return syntax_error("lacks the name of a member");
  for (;;) {
    const int character = input_->buffer.sbumpc();
    if (character == '"') break;
    // The names of a dump are plain words; an escape can only be something else.
    if (character < 0x20 || character == '\\' || key.size() == kKeyBytesMax) {
      return syntax_error("has a member that no dump has");
    }
    key += static_cast<char>(character);
  }
  if (!input_->take(':')) return syntax_error("lacks a colon");
  return true;
}

Result<void> DumpReader::read_member(const std::string& key) {
  if (key == "schema") return read_schema();
  if (key == "superblock") return read_superblock();
  if (key == "entries") {
    if (has_list_) return syntax_error("has two lists of entries");
    if (!input_->take('[')) return syntax_error("has entries that are no list");
    has_list_ = true;
    is_in_list_ = true;
    return {};
  }
  return skip_value();
}

Result<void> DumpReader::skip_value() {
  const int first = input_->peek();
  if (is_number_character(first)) {
    // The parser would read one character too far behind a number.
    std::string number;
    while (is_number_character(input_->buffer.sgetc()) && number.size() < kKeyBytesMax) {
      number += static_cast<char>(input_->buffer.sbumpc());
    }
    return json::accept(number) ? Result<void>{} : Result<void>(syntax_error("has a bad number"));
  }
  SkippedValue value(input_->buffer);
  if (!input_->parse(value)) return syntax_error("is not valid JSON: " + value.problem());
  return {};
}

/// A string value of the outer object is short and plain, or the file is no dump.
Result<void> DumpReader::read_schema() {
  constexpr std::string_view kExpected = "\"writecache.dump/1\"";
  input_->peek();
  for (const char expected : kExpected) {
    if (input_->buffer.sbumpc() != expected) return syntax_error("is not a dump of schema writecache.dump/1");
  }
  has_schema_ = true;
  return {};
}

Result<void> DumpReader::read_superblock() {
  if (superblock_) return syntax_error("has two superblocks");
  if (input_->peek() != '{') return syntax_error("has a superblock that is no object");
  std::optional<std::uint64_t> block_size;
  std::optional<std::uint64_t> n_blocks;
  std::optional<std::uint64_t> seq_count;
  NumbersReader object(input_->buffer,
                       {{"block_size", &block_size}, {"n_blocks", &n_blocks}, {"seq_count", &seq_count}});
  if (!input_->parse(object)) return syntax_error("has a bad superblock: " + object.problem());
  if (!block_size || !n_blocks || !seq_count) {
    return syntax_error("has a superblock without block_size, n_blocks and seq_count");
  }
  DumpSummary summary;
  // Whether the numbers make sense is judged where they are used: options may replace them.
  summary.block_bytes =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(*block_size, std::numeric_limits<std::uint32_t>::max()));
  summary.n_blocks = *n_blocks;
  summary.seq_count = *seq_count;
  superblock_ = summary;
  return {};
}

/// True in front of an entry, false behind the list.
Result<bool> DumpReader::next_in_list() {
  if (input_->take(']')) {
    is_in_list_ = false;
    return false;
  }
  if (!is_first_in_list_ && !input_->take(',')) return syntax_error("lacks a comma between two entries");
  is_first_in_list_ = false;
  if (input_->peek() != '{') return syntax_error("has an entry that is no object");
  return true;
}

Result<std::optional<EntrySource::Item>> DumpReader::read_entry() {
  std::optional<std::uint64_t> index;
  std::optional<std::uint64_t> sector;
  std::optional<std::uint64_t> seq;
  NumbersReader object(input_->buffer, {{"index", &index}, {"sector", &sector}, {"seq", &seq}});
  if (!input_->parse(object)) return syntax_error("has a bad entry: " + object.problem());
  if (!index || !sector || !seq) return syntax_error("has an entry without index, sector and seq");
  if (last_index_ && *index <= *last_index_) {
    return syntax_error("has entry " + std::to_string(*index) + " behind entry " + std::to_string(*last_index_) +
                        " (dump with --sort=index)");
  }
  if (object.state()) {
    constexpr std::array<std::string_view, 5> kStates{"live", "stale", "uncommitted", "future", "free"};
    bool is_known = false;
    for (const std::string_view state : kStates)
      is_known = is_known || *object.state() == state;
    if (!is_known) return syntax_error("has an entry of unknown state");
    if ((*object.state() == "free") != (*seq == kFreeSequence)) {
      return syntax_error("has entry " + std::to_string(*index) + " whose state contradicts its sequence");
    }
  }
  last_index_ = *index;
  ++entries_;
  return std::optional<Item>(Item{*index, Entry{*sector, *seq}});
}

Result<void> DumpReader::finish() {
  if (input_->peek() >= 0) return syntax_error("has text behind its object");
  if (input_->buffer.read_errno() != 0) return syntax_error("");
  if (!has_schema_) return syntax_error("says no schema");
  if (!superblock_) return syntax_error("has no superblock");
  if (!has_list_) return syntax_error("has no list of entries");
  is_finished_ = true;
  return {};
}

}  // namespace wc::tools
