#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <ostream>

namespace ppvmm::xsload {

Summary summarise(const std::vector<Sample>& samples) {
  Summary summary;
  summary.n = samples.size();
  if (samples.empty()) return summary;
  std::vector<double> sorted;
  sorted.reserve(samples.size());
  double sum = 0;
  for (const auto& sample : samples) {
    sorted.push_back(static_cast<double>(sample.nanoseconds) / 1000);
    sum += sorted.back();
  }
  std::ranges::sort(sorted);
  const auto count = static_cast<double>(sorted.size());
  const auto rank = [&](double fraction) {
    return sorted[static_cast<std::size_t>(std::max(std::ceil(fraction * count), 1.0)) - 1];
  };
  summary.mean = sum / count;
  summary.p50 = rank(0.50);
  summary.p95 = rank(0.95);
  summary.p99 = rank(0.99);
  summary.min = sorted.front();
  summary.max = sorted.back();
  return summary;
}

double throughput(const Measurement& measurement) {
  const auto seconds = std::chrono::duration<double>(measurement.elapsed).count();
  return seconds > 0 ? static_cast<double>(measurement.samples.size()) / seconds : 0;
}

std::string to_json(const std::vector<Result>& results, double populate_s) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& result : results) {
    const auto summary = summarise(result.measurement.samples);
    const auto seconds = [](auto span) { return std::chrono::duration<double>(span).count(); };
    list.push_back({{"op", result.plan.operation},
                    {"clients", result.plan.clients},
                    {"nodes", result.nodes},
                    {"value_size", result.value_size},
                    {"n", summary.n},
                    {"unit", "us"},
                    {"mean", summary.mean},
                    {"p50", summary.p50},
                    {"p95", summary.p95},
                    {"p99", summary.p99},
                    {"min", summary.min},
                    {"max", summary.max},
                    {"ops_per_s", throughput(result.measurement)},
                    {"elapsed_s", seconds(result.measurement.elapsed)},
                    {"client_cpu_s", seconds(result.measurement.client_cpu)},
                    {"retries", result.measurement.retries}});
  }
  return nlohmann::json{{"results", list}, {"populate_s", populate_s}}.dump() + '\n';
}

void write_csv(std::ostream& out, const std::vector<Result>& results) {
  out << "operation,clients,nodes,client,ns\n";
  for (const auto& result : results) {
    for (const auto& sample : result.measurement.samples) {
      out << result.plan.operation << ',' << result.plan.clients << ',' << result.nodes << ','
          << sample.client << ',' << sample.nanoseconds << '\n';
    }
  }
}

void write_line(std::ostream& out, const Result& result) {
  const auto summary = summarise(result.measurement.samples);
  char line[200];
  std::snprintf(line, sizeof line,
                "%-12s clients %2u  n %7zu  mean %9.1f  p50 %9.1f  p95 %9.1f  p99 %9.1f  "
                "min %9.1f  max %9.1f us  %9.0f op/s\n",
                result.plan.operation.c_str(), result.plan.clients, summary.n, summary.mean,
                summary.p50, summary.p95, summary.p99, summary.min, summary.max,
                throughput(result.measurement));
  out << line;
}

}  // namespace ppvmm::xsload
