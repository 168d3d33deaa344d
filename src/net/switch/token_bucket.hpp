/// Rate limit of one sender, as xl's `rate=` sets it: so many bytes in each interval.
///
/// Tokens are bytes. A packet may be sent while there are any, and takes as many as it has bytes:
/// the balance may become negative and is paid back by waiting, so a large packet is neither
/// stuck forever nor free. Tokens come continuously, up to one interval's worth (or one largest
/// packet, if that is more). Pure: the caller says what time it is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ppvmm::net {

struct RateLimit {
  std::uint64_t bytes{};        ///< Per interval; at least 1.
  std::uint32_t interval_us{};  ///< At least 1.
  bool operator==(const RateLimit&) const = default;
};

/// What libxl writes as `rate`: "bytes,microseconds". Nothing if it is not that, or says no limit.
[[nodiscard]] std::optional<RateLimit> parse_rate(std::string_view text);

class TokenBucket {
 public:
  /// Unlimited.
  TokenBucket() = default;
  TokenBucket(RateLimit limit, std::uint64_t now_ns)
      : limit_(limit), last_ns_(now_ns), tokens_(burst()) {}

  [[nodiscard]] bool limited() const { return limit_.has_value(); }
  /// True if a packet may be sent now.
  [[nodiscard]] bool open(std::uint64_t now_ns) {
    refill(now_ns);
    return !limit_ || tokens_ > 0;
  }
  void spend(std::uint32_t bytes) {
    if (limit_) tokens_ -= bytes;
  }
  /// When open() becomes true if nothing is spent; `now_ns` if it is.
  [[nodiscard]] std::uint64_t opens_at(std::uint64_t now_ns) const;

 private:
  static constexpr std::int64_t kLargestPacket = 65536;
  [[nodiscard]] std::int64_t burst() const {
    return std::max(kLargestPacket, static_cast<std::int64_t>(limit_->bytes));
  }
  void refill(std::uint64_t now_ns);

  std::optional<RateLimit> limit_;
  std::uint64_t last_ns_{};
  std::int64_t tokens_{};
};

}  // namespace ppvmm::net
