/// What became of a stream of numbered packets, as its receiver sees it. Pure.
#pragma once

#include <cstdint>
#include <vector>

namespace ppvmm::udpseq {

struct Tally {
  std::uint64_t received{};    ///< Packets, duplicates included.
  std::uint64_t unique{};      ///< Different numbers.
  std::uint64_t duplicated{};  ///< Packets whose number was there before.
  std::uint64_t reordered{};   ///< First arrivals after a higher number.
  std::uint64_t foreign{};     ///< Wrong content, length, or a number that cannot be.
  std::uint64_t overflowed{};  ///< Reached the receiver's host, which had no room in the socket.
  std::uint64_t longest_silence_ns{};  ///< Between two arrivals.
  std::uint64_t silence_before{};      ///< Number that ended the longest silence.

  /// Of `sent` packets, those that never came.
  [[nodiscard]] std::uint64_t lost(std::uint64_t sent) const {
    return sent > unique ? sent - unique : 0;
  }
};

class Counter {
 public:
  /// Numbers of `limit` and up are foreign.
  explicit Counter(std::uint64_t limit) : limit_(limit) {}

  void arrived(std::uint64_t number, std::uint64_t now_ns) {
    ++tally_.received;
    if (number >= limit_) {
      foreign();
      return;
    }
    if (number >= seen_.size()) seen_.resize(number + 1);
    if (seen_[number]) {
      ++tally_.duplicated;
    } else {
      seen_[number] = true;
      ++tally_.unique;
      if (any_ && number < highest_) ++tally_.reordered;
    }
    if (any_ && now_ns - last_ns_ > tally_.longest_silence_ns) {
      tally_.longest_silence_ns = now_ns - last_ns_;
      tally_.silence_before = number;
    }
    last_ns_ = now_ns;
    if (!any_ || number > highest_) highest_ = number;
    any_ = true;
  }
  void foreign() { ++tally_.foreign; }
  void overflowed(std::uint64_t packets) { tally_.overflowed = packets; }

  [[nodiscard]] const Tally& tally() const { return tally_; }
  [[nodiscard]] bool any() const { return any_; }
  /// One more than the highest number that came.
  [[nodiscard]] std::uint64_t end() const { return any_ ? highest_ + 1 : 0; }
  [[nodiscard]] std::uint64_t last_ns() const { return last_ns_; }

 private:
  std::uint64_t limit_;
  std::vector<bool> seen_;
  std::uint64_t highest_{};
  std::uint64_t last_ns_{};
  bool any_{};
  Tally tally_;
};

}  // namespace ppvmm::udpseq
