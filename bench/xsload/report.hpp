/// What a run says: a line for people, JSON and CSV for programs.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "load.hpp"

namespace ppvmm::xsload {

/// One measurement with what it was made of.
struct Result {
  Plan plan;
  std::uint32_t nodes{};
  std::uint32_t value_size{};
  Measurement measurement;
};

/// Summary of samples, in microseconds. Percentiles are nearest-rank: always one of the samples.
struct Summary {
  std::size_t n{};
  double mean{}, p50{}, p95{}, p99{}, min{}, max{};
};
[[nodiscard]] Summary summarise(const std::vector<Sample>& samples);

/// Operations a second over the whole measurement.
[[nodiscard]] double throughput(const Measurement& measurement);

/// One object: {"results": [...], "populate_s": seconds or null}.
[[nodiscard]] std::string to_json(const std::vector<Result>& results, double populate_s);
/// Header line, then one line a sample: operation,clients,nodes,client,ns.
void write_csv(std::ostream& out, const std::vector<Result>& results);
void write_line(std::ostream& out, const Result& result);

}  // namespace ppvmm::xsload
