/// What became of the packets of a run, and when the starter knew: for who wants to say which of
/// several faults a loss belongs to. All times are the starter's. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

namespace ppvmm::udpseq {

/// How far an end has heard the other: each data packet says it.
struct Heard {
  std::uint64_t end{};      ///< One more than the highest number that came.
  std::uint64_t unique{};   ///< Different numbers.
  std::uint64_t foreign{};  ///< Damaged packets.
};

class Journal {
 public:
  /// Packets that never came, of those with numbers from `first` to `last`.
  struct Loss {
    std::uint64_t first{};
    std::uint64_t last{};
    std::uint64_t lost{};
    std::uint64_t known_ns{};
  };
  /// A time in which no packet was known to have got there and been answered.
  struct Gap {
    std::uint64_t begin_ns{};
    std::uint64_t end_ns{};
  };
  struct Damage {
    std::uint64_t packets{};
    std::uint64_t known_ns{};
  };

  /// Shorter gaps than `gap_ns` are not kept.
  explicit Journal(std::uint64_t gap_ns) : gap_ns_(gap_ns) {}

  /// The next number was sent.
  void sent(std::uint64_t now_ns) { sent_ns_.push_back(now_ns); }

  /// An intact packet came, `number` of the other end's, which had then heard so much of ours.
  void arrived(std::uint64_t number, const Heard& heard, std::uint64_t now_ns) {
    take_back(number, now_ns);
    take_there(heard, now_ns);
  }
  void damaged_back(std::uint64_t now_ns) { damages_back_.push_back({1, now_ns}); }

  /// The run is over: of ours `received` different ones came in the end. What is missing behind the
  /// last answer is known now.
  void end_there(std::uint64_t received, std::uint64_t now_ns) {
    count_there({.end = sent_ns_.size(), .unique = received, .foreign = there_.foreign}, now_ns);
  }
  /// The other end has sent `count` in all.
  void end_back(std::uint64_t count, std::uint64_t now_ns) {
    for (; next_back_ < count; ++next_back_)
      missing_back_.emplace(next_back_, now_ns);
  }

  /// When the last packet was sent of which an answer says that it came; 0: none.
  [[nodiscard]] std::uint64_t served_ns() const { return served_ns_; }
  [[nodiscard]] const std::vector<Loss>& losses_there() const { return losses_there_; }
  [[nodiscard]] std::vector<Loss> losses_back() const {
    std::vector<Loss> losses;
    for (const auto& [number, known_ns] : missing_back_) {
      if (!losses.empty() && losses.back().last + 1 == number &&
          losses.back().known_ns == known_ns) {
        losses.back().last = number;
        ++losses.back().lost;
      } else {
        losses.push_back({.first = number, .last = number, .lost = 1, .known_ns = known_ns});
      }
    }
    return losses;
  }
  [[nodiscard]] const std::vector<Damage>& damages_there() const { return damages_there_; }
  [[nodiscard]] const std::vector<Damage>& damages_back() const { return damages_back_; }
  [[nodiscard]] const std::vector<Gap>& gaps() const { return gaps_; }

 private:
  void take_back(std::uint64_t number, std::uint64_t now_ns) {
    if (number < next_back_) {
      missing_back_.erase(number);  // late, not lost
      return;
    }
    for (; next_back_ < number; ++next_back_)
      missing_back_.emplace(next_back_, now_ns);
    ++next_back_;
  }

  void take_there(const Heard& heard, std::uint64_t now_ns) {
    const std::uint64_t end = there_.end;
    count_there(heard, now_ns);
    if (there_.end == end) return;
    if (advanced_ns_ != 0 && now_ns - advanced_ns_ > gap_ns_) {
      gaps_.push_back({.begin_ns = advanced_ns_, .end_ns = now_ns});
    }
    advanced_ns_ = now_ns;
    served_ns_ = sent_ns_[there_.end - 1];
  }

  void count_there(const Heard& heard, std::uint64_t now_ns) {
    // What overtakes an older answer knows more; none knows of packets that were not sent.
    if (heard.end < there_.end || heard.unique < there_.unique || heard.end > sent_ns_.size() ||
        heard.unique > heard.end) {
      return;
    }
    const std::uint64_t before = there_.end - there_.unique;
    const std::uint64_t after = heard.end - heard.unique;
    if (after > before) {
      losses_there_.push_back({.first = there_.end,
                               .last = heard.end == 0 ? 0 : heard.end - 1,
                               .lost = after - before,
                               .known_ns = now_ns});
    }
    for (std::uint64_t late = before > after ? before - after : 0; late > 0;) {
      Loss& last = losses_there_.back();
      const std::uint64_t found = std::min(late, last.lost);
      last.lost -= found;
      late -= found;
      if (last.lost == 0) losses_there_.pop_back();
    }
    if (heard.foreign > there_.foreign) {
      damages_there_.push_back({heard.foreign - there_.foreign, now_ns});
    }
    there_ = heard;
  }

  std::uint64_t gap_ns_;
  std::vector<std::uint64_t> sent_ns_;  ///< Of each number.
  Heard there_;                         ///< What the other end was last known to have.
  std::uint64_t next_back_{};           ///< One more than the highest number that came back.
  std::map<std::uint64_t, std::uint64_t> missing_back_;  ///< Number -> when that was known.
  std::vector<Loss> losses_there_;
  std::vector<Damage> damages_there_;
  std::vector<Damage> damages_back_;
  std::vector<Gap> gaps_;
  std::uint64_t advanced_ns_{};  ///< When there_.end last grew.
  std::uint64_t served_ns_{};
};

}  // namespace ppvmm::udpseq
