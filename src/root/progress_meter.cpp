#include "root/progress_meter.hpp"

#include <fmt/format.h>

#include <thread>

#include "root/xen.hpp"

namespace ppvmm::root {
namespace {

// More often, and the looking itself would slow down what it waits for.
constexpr std::chrono::microseconds kLookAgain{1000};

std::uint64_t in_ns(std::chrono::milliseconds time) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(time).count());
}

}  // namespace

std::uint64_t progress_sum(const VitalsView& vitals) {
  const abi::Vitals page = vitals.page();
  std::uint64_t sum = 0;
  for (const abi::Progress& part : page.progress)
    sum += part.count;
  return sum;
}

std::vector<ProgressSample> sample_progress(const VitalsView& vitals,
                                            std::chrono::milliseconds length,
                                            std::chrono::microseconds pace) {
  const std::uint64_t end = now_ns() + in_ns(length);
  const std::uint64_t first = progress_sum(vitals);
  std::vector<ProgressSample> samples{{now_ns(), 0}};
  while (now_ns() < end) {
    const std::uint64_t count = progress_sum(vitals) - first;
    if (count != samples.back().count) samples.push_back({now_ns(), count});
    std::this_thread::sleep_for(pace);
  }
  return samples;
}

Result<void> await_progress(const VitalsView& vitals, std::uint64_t count,
                            std::chrono::milliseconds limit) {
  const std::uint64_t end = now_ns() + in_ns(limit);
  const std::uint64_t first = progress_sum(vitals);
  while (progress_sum(vitals) - first < count) {
    if (now_ns() >= end) {
      return refused(fmt::format("only {} of {} pieces of work within {} ms",
                                 progress_sum(vitals) - first, count, limit.count()));
    }
    std::this_thread::sleep_for(kLookAgain);
  }
  return {};
}

}  // namespace ppvmm::root
