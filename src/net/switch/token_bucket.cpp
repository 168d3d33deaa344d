#include "net/switch/token_bucket.hpp"

#include <charconv>

namespace ppvmm::net {
namespace {

constexpr std::uint64_t kNsPerUs = 1000;
/// Bounds of a limit, so that products of bytes and nanoseconds stay below 2^64.
constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 30;
constexpr std::uint32_t kIntervalMax = 10'000'000;

}  // namespace

std::optional<RateLimit> parse_rate(std::string_view text) {
  RateLimit limit;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto bytes = std::from_chars(begin, end, limit.bytes);
  if (bytes.ec != std::errc{} || bytes.ptr == end || *bytes.ptr != ',') return std::nullopt;
  const auto interval = std::from_chars(bytes.ptr + 1, end, limit.interval_us);
  if (interval.ec != std::errc{} || interval.ptr != end) return std::nullopt;
  if (limit.bytes == 0 || limit.interval_us == 0) return std::nullopt;
  // The same rate over a shorter interval.
  while (limit.bytes > kBytesMax || limit.interval_us > kIntervalMax) {
    limit.bytes = std::max<std::uint64_t>(limit.bytes / 2, 1);
    limit.interval_us = std::max<std::uint32_t>(limit.interval_us / 2, 1);
    if (limit.interval_us == 1) limit.bytes = std::min(limit.bytes, kBytesMax);
  }
  return limit;
}

void TokenBucket::refill(std::uint64_t now_ns) {
  if (!limit_ || now_ns <= last_ns_) return;
  const std::uint64_t interval_ns = limit_->interval_us * kNsPerUs;
  const std::uint64_t elapsed = now_ns - last_ns_;
  const std::uint64_t whole = elapsed / interval_ns;
  const auto missing = static_cast<std::uint64_t>(burst() - tokens_);
  if (whole > missing / limit_->bytes) {
    tokens_ = burst();
    last_ns_ = now_ns;
    return;
  }
  const std::uint64_t part =
      whole * limit_->bytes + elapsed % interval_ns * limit_->bytes / interval_ns;
  if (part == 0) return;  // keeps the time that did not make a byte yet
  tokens_ = std::min(burst(), tokens_ + static_cast<std::int64_t>(part));
  last_ns_ = now_ns;
}

std::uint64_t TokenBucket::opens_at(std::uint64_t now_ns) const {
  if (!limit_ || tokens_ > 0) return now_ns;
  const auto needed = static_cast<std::uint64_t>(1 - tokens_);
  const std::uint64_t interval_ns = limit_->interval_us * kNsPerUs;
  const std::uint64_t wait =
      needed / limit_->bytes * interval_ns +
      (needed % limit_->bytes * interval_ns + limit_->bytes - 1) / limit_->bytes;
  return std::max(now_ns, last_ns_ + wait);
}

}  // namespace ppvmm::net
