#include "net/shadow/shadow.hpp"

#include <algorithm>
#include <utility>

namespace ppvmm::net {

bool Shadow::entrust(Frame&& frame) {
  if (!room()) {
    ++statistics_.full;
    return false;
  }
  at(count_++) = std::move(frame);
  ++statistics_.entrusted;
  statistics_.held_most = std::max(statistics_.held_most, static_cast<std::uint32_t>(count_));
  return true;
}

void Shadow::pump(Nic& nic, std::vector<Ended>& ended) {
  while (given_ < count_) {
    Frame copy = at(given_).share();
    if (!copy) return;  // no record left: they come back as frames end
    const TransmitResult result = nic.transmit(std::move(copy));
    if (result == TransmitResult::full) return;
    if (result == TransmitResult::refused) {
      // It leaves from the middle of the circle: those before it are with the driver.
      ended.push_back({.tag = at(given_).tag(), .sent = false});
      ++statistics_.refused;
      for (std::size_t i = given_; i + 1 < count_; ++i)
        at(i) = std::move(at(i + 1));
      at(count_ - 1).reset();
      --count_;
      if (given_once_ > given_) --given_once_;
      continue;
    }
    if (given_ < given_once_) ++statistics_.resent;
    ++given_;
    given_once_ = std::max(given_once_, given_);
  }
}

void Shadow::sent(const Frame& frame, std::vector<Ended>& ended) {
  // A driver that invents or reorders frames must not make us forget one that was not sent.
  if (given_ == 0 || at(0).tag() != frame.tag() || at(0).length() != frame.length()) {
    ++statistics_.unknown;
    return;
  }
  --given_;
  end_first(true, ended);
  ++statistics_.sent;
}

void Shadow::forget_given() {
  given_ = 0;
}

void Shadow::drop_all(std::vector<Ended>& ended) {
  statistics_.dropped += count_;
  while (count_ > 0)
    end_first(false, ended);
  given_ = 0;
}

void Shadow::end_first(bool sent, std::vector<Ended>& ended) {
  ended.push_back({.tag = at(0).tag(), .sent = sent});
  at(0).reset();
  first_ = (first_ + 1) % held_.size();
  --count_;
  if (given_once_ > 0) --given_once_;
}

}  // namespace ppvmm::net
