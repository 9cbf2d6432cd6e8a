// SPDX-License-Identifier: LGPL-2.1-or-later
// --explain: reads the lines and prints the explanations.
#include "wc-check/explain.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "wc-check/explanation.hpp"

namespace wc::tools {
namespace {

/// Bounds of what standard input may hold: a kernel log has shorter lines, and nobody reads more explanations.
constexpr std::size_t kLineMax = 4096;
constexpr std::size_t kExplainedMax = 1000;

struct Explained {
  std::string line;
  Explanation explanation;
};

nlohmann::ordered_json json_of(const Explained& explained) {
  auto parts = nlohmann::ordered_json::array();
  for (const TextRow& part : explained.explanation.parts) {
    parts.push_back({{"name", part.name}, {"value", part.value}, {"meaning", part.meaning}});
  }
  return {{"line", explained.line},
          {"kind", to_string(explained.explanation.kind)},
          {"source", explained.explanation.source},
          {"meaning", explained.explanation.meaning},
          {"parts", parts},
          {"action", explained.explanation.action}};
}

/// Names and values come from the line, which may hold anything.
std::vector<TextRow> printable_rows(const std::vector<TextRow>& rows) {
  std::vector<TextRow> result;
  for (const TextRow& row : rows)
    result.push_back({row.name, printable(row.value), printable(row.meaning)});
  return result;
}

void print(Console& console, const Explained& explained) {
  const Explanation& explanation = explained.explanation;
  console.text("> {}\n", printable(explained.line));
  console.text("{}", wrapped(printable(explanation.meaning), 0, 0));
  console.text("{}", text_rows(printable_rows(explanation.parts)));
  if (!explanation.action.empty()) console.text("{}", wrapped("To do: " + printable(explanation.action), 0, 0));
}

/// The next line without its newline, cut after kLineMax; false at the end.
bool read_line(std::istream& in, std::string& line) {
  line.clear();
  std::streambuf* const buffer = in.rdbuf();
  for (;;) {
    const int letter = buffer->sbumpc();
    if (letter == std::char_traits<char>::eof()) return !line.empty();
    if (letter == '\n') return true;
    if (line.size() < kLineMax) line += static_cast<char>(letter);
  }
}

class Explainer {
 public:
  explicit Explainer(Console& console) : console_(console) {}

  /// `must_know`: a line that has nothing to do with a writecache is told too.
  void take(std::string line, bool must_know) {
    if (count_ == kExplainedMax) {
      is_cut_ = true;
      return;
    }
    auto explanation = explain_line(line);
    if (!explanation) {
      if (!must_know) return;
      explanation = Explanation{LineKind::unknown, "", "This line says nothing of a writecache.", {}, ""};
    }
    if (explanation->kind == LineKind::unknown) ++unknown_;
    ++count_;
    const Explained explained{std::move(line), std::move(*explanation)};
    if (console_.options().json) {
      lines_.push_back(json_of(explained));
    } else {
      if (count_ > 1) console_.text("\n");
      print(console_, explained);
    }
  }

  int finish() {
    if (console_.options().json) console_.print_json({{"lines", lines_}}, "writecache.explain/1");
    if (is_cut_) console_.warn("", fmt::format("only the first {} lines are explained", kExplainedMax));
    if (count_ == 0) {
      console_.error("", "no line about a writecache (paste a kernel message, or a line of dmsetup)");
      return kExitFailure;
    }
    if (unknown_ != 0) {
      console_.error("", fmt::format("{} not understood (man 7 writecache has a table of messages)",
                                     counted(unknown_, "line is", "lines are")));
    }
    return unknown_ != 0 ? kExitFailure : kExitFine;
  }

 private:
  Console& console_;
  nlohmann::ordered_json lines_ = nlohmann::ordered_json::array();
  std::size_t count_ = 0;
  std::size_t unknown_ = 0;
  bool is_cut_ = false;
};

}  // namespace

int run_explain(Console& console, const std::string& line) {
  Explainer explainer(console);
  if (line != "-") {
    explainer.take(line.substr(0, kLineMax), true);
    return explainer.finish();
  }
  for (std::string one; read_line(console.environment().in, one);)
    explainer.take(one, false);
  return explainer.finish();
}

}  // namespace wc::tools
