/// The shadow driver: stands between the switch and a network card's driver, and knows every frame
/// that was entrusted to the driver and is not on the wire yet.
///
/// While the driver works, frames pass through and a second handle to each stays here until the
/// driver has seen it sent. While it does not (being restarted, thrown away, made anew), frames are
/// held; afterwards all that is not known to be sent is given to it again, in the order in which it
/// came, so that no sender's frames overtake each other. A few may thus reach the wire twice, none
/// is lost. Bounded: a full shadow says so, and its senders keep what they have. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "net/nic/nic.hpp"

namespace ppvmm::net {

class Shadow {
 public:
  struct Statistics {
    std::uint64_t entrusted{};  ///< Frames taken.
    std::uint64_t sent{};       ///< Of them, on the wire.
    std::uint64_t refused{};    ///< Of them, the device can never send.
    std::uint64_t resent{};     ///< Given to a driver for a second time, perhaps sent twice.
    std::uint64_t dropped{};    ///< Given up by drop_all().
    std::uint64_t full{};       ///< Refused for want of room.
    std::uint64_t unknown{};    ///< Reported sent by the driver, but not what was expected.
    std::uint32_t held_most{};  ///< Highest number of frames held at a time.
  };
  /// What ended a frame's stay; its sender may be told now.
  struct Ended {
    std::uint64_t tag{};
    bool sent{};
  };

  /// At most `limit` > 0 frames are held.
  explicit Shadow(std::size_t limit) : held_(limit) {}

  [[nodiscard]] std::size_t held() const { return count_; }
  [[nodiscard]] bool room() const { return count_ < held_.size(); }
  [[nodiscard]] const Statistics& statistics() const { return statistics_; }

  /// Its counts fit together.
  [[nodiscard]] bool sound() const {
    return first_ < held_.size() && count_ <= held_.size() && given_ <= count_ &&
           given_once_ <= count_;
  }

  /// Takes the frame. False, and the frame stays the caller's, when there is no room.
  [[nodiscard]] bool entrust(Frame&& frame);
  /// Gives the driver what it has not got yet, as much as it takes. Frames that it can never send
  /// are appended to `ended`.
  void pump(Nic& nic, std::vector<Ended>& ended);
  /// The driver says that the wire has a frame: the oldest one, since it works in order.
  void sent(const Frame& frame, std::vector<Ended>& ended);
  /// The driver is gone, or forgot what it had: everything is to be given again.
  void forget_given();
  /// There will be no driver: gives everything up.
  void drop_all(std::vector<Ended>& ended);

  /// Every handle, for BufferPool::reclaim().
  template <typename Mark>
  void mark(const Mark& mark) const {
    for (std::size_t i = 0; i < count_; ++i)
      mark(at(i));
  }

 private:
  [[nodiscard]] const Frame& at(std::size_t place) const {
    return held_[(first_ + place) % held_.size()];
  }
  [[nodiscard]] Frame& at(std::size_t place) { return held_[(first_ + place) % held_.size()]; }
  void end_first(bool sent, std::vector<Ended>& ended);

  std::vector<Frame> held_;  ///< A circle, oldest at first_.
  std::size_t first_{};
  std::size_t count_{};
  std::size_t given_{};       ///< The oldest so many are with the driver.
  std::size_t given_once_{};  ///< The oldest so many were, at some time.
  Statistics statistics_;
};

}  // namespace ppvmm::net
