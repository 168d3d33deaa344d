#include "net/netback/rx_ring.hpp"

#include <algorithm>
#include <utility>

namespace ppvmm::net {

RxRing::RxRing(std::byte* page)
    : ring_(page, sizeof(netif_rx_request_t)), answered_(ring_.responses()) {}

std::expected<std::uint32_t, Hostile> RxRing::adopt() {
  const std::uint32_t waiting = ring_.requests() - answered_;
  if (waiting > kRingSlots) return std::unexpected(Hostile::ring_overflow);
  const std::uint32_t torn = std::min(ring_.announced(), waiting);
  for (std::uint32_t i = 0; i < torn; ++i) {
    // Request and response have the id at the same place.
    const auto id = ring_.read<netif_rx_request_t>(answered_ + i).id;
    ring_.write(answered_ + i,
                netif_rx_response_t{.id = id, .offset = 0, .flags = 0, .status = NETIF_RSP_ERROR});
  }
  if (torn > 0) {
    answered_ += torn;
    (void)ring_.publish(answered_);  // whoever adopts tells the front-end in any case
  }
  return torn;
}

std::expected<std::uint32_t, Hostile> RxRing::available() const {
  const std::uint32_t waiting = ring_.requests() - answered_;
  if (waiting > kRingSlots) return std::unexpected(Hostile::ring_overflow);
  return waiting - std::min(waiting, taken_);
}

abi::GrantRef RxRing::take() {
  const auto request = ring_.read<netif_rx_request_t>(answered_ + taken_);
  answers_[taken_ % kRingSlots] = {
      .extra = false,
      .response = {.id = request.id, .offset = 0, .flags = 0, .status = NETIF_RSP_ERROR},
      .info = {}};
  ++taken_;
  return request.gref;
}

void RxRing::take_extra(const netif_extra_info_t& info) {
  answers_[taken_ % kRingSlots] = {.extra = true, .response = {}, .info = info};
  ++taken_;
}

void RxRing::fill(std::uint32_t place, std::uint16_t flags, std::int16_t length) {
  if (place >= taken_) return;
  netif_rx_response_t& response = answers_[place % kRingSlots].response;
  response.flags = flags;
  response.status = length;
}

bool RxRing::publish() {
  if (taken_ == 0) return false;
  ring_.announce(answered_ + taken_);
  for (std::uint32_t i = 0; i < taken_; ++i) {
    const Answer& answer = answers_[i % kRingSlots];
    if (answer.extra) {
      ring_.write(answered_ + i, answer.info);
    } else {
      ring_.write(answered_ + i, answer.response);
    }
  }
  answered_ += std::exchange(taken_, 0);
  return ring_.publish(answered_);
}

bool RxRing::sleep(std::uint32_t wanted) {
  if (ring_.requests() - answered_ >= wanted) return true;
  ring_.wake_at(answered_ + wanted);
  return ring_.requests() - answered_ >= wanted;
}

}  // namespace ppvmm::net
