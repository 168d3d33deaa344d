#include "root/tool/output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fstream>

namespace ppvmm::root::tool {
namespace {

bool looks_numeric(const std::string& cell) {
  return !cell.empty() && std::ranges::all_of(cell, [](char letter) {
    return std::isdigit(static_cast<unsigned char>(letter)) != 0 || letter == '.' || letter == '-';
  });
}

}  // namespace

int complain(const Failure& failure) {
  fmt::print(stderr, "ppvmm: {}\n", failure.text());
  return kWrong;
}

int write_json(const Common& common, const nlohmann::ordered_json& result) {
  if (common.json.empty()) return kDone;
  const std::string text = result.dump(1) + "\n";
  if (common.json == "-") {
    fmt::print("{}", text);
    return kDone;
  }
  std::ofstream file(common.json, std::ios::trunc);
  file << text;
  file.close();
  if (!file) return complain({"write " + common.json, errno});
  return kDone;
}

void print_table(const std::vector<std::string>& heading,
                 const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  widths.reserve(heading.size());
  for (const std::string& title : heading)
    widths.push_back(title.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  }
  const auto print_row = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += looks_numeric(row[i]) ? fmt::format("{:>{}}  ", row[i], widths[i])
                                    : fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    fmt::print("{}\n", line);
  };
  print_row(heading);
  for (const auto& row : rows)
    print_row(row);
}

nlohmann::ordered_json record(std::string_view system, std::string_view metric,
                              std::string_view unit, const Summary& summary) {
  return {{"system", system},     {"metric", metric},   {"unit", unit},       {"n", summary.n},
          {"mean", summary.mean}, {"p50", summary.p50}, {"p95", summary.p95}, {"p99", summary.p99},
          {"min", summary.min},   {"max", summary.max}};
}

double to_ms(std::uint64_t nanoseconds) {
  constexpr double kNsPerMs = 1e6;
  return static_cast<double>(nanoseconds) / kNsPerMs;
}

std::string ms_text(double milliseconds) {
  return fmt::format("{:.3f}", milliseconds);
}

}  // namespace ppvmm::root::tool
