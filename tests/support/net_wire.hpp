/// A network card for tests whose wire does what the test says.
#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "net/nic/nic.hpp"

namespace ppvmm::net::test {

class Wire final : public Nic {
 public:
  std::deque<Frame> ring;                    ///< What the driver accepted.
  std::vector<std::vector<std::byte>> sent;  ///< What the wire had.
  bool up{true};
  std::size_t room{256};

  /// The wire takes everything; `client` hears of it.
  void send_all(NicClient& client) {
    while (!ring.empty()) {
      Frame frame = std::move(ring.front());
      ring.pop_front();
      std::vector<std::byte> bytes(frame.length());
      (void)frame.copy_out(0, bytes);
      sent.push_back(std::move(bytes));
      client.sent(std::move(frame));
    }
  }
  /// A packet comes in.
  void deliver(BufferPool& pool, NicClient& client, const std::vector<std::byte>& bytes) {
    Frame frame = pool.frame_of(bytes.size());
    if (!frame) return;
    (void)frame.copy_in(0, bytes);
    client.received(std::move(frame));
  }

  [[nodiscard]] std::string_view name() const override { return "wire"; }
  [[nodiscard]] NicFeatures features() const override {
    return {.checksum = true, .tso_v4 = true, .tso_v6 = true, .fragments = 18, .mtu_max = 9000};
  }
  [[nodiscard]] MacAddress mac() const override { return {2, 0, 0, 0, 0, 1}; }
  [[nodiscard]] std::expected<void, NicError> start() override { return {}; }
  std::expected<void, NicError> stop(std::vector<Frame>&) override { return {}; }
  [[nodiscard]] std::expected<void, NicError> restart(std::vector<Frame>&) override { return {}; }
  [[nodiscard]] TransmitResult transmit(Frame&& frame) override {
    if (ring.size() >= room) return TransmitResult::full;
    ring.push_back(std::move(frame));
    return TransmitResult::accepted;
  }
  void flush() override {}
  [[nodiscard]] bool on_interrupt() override { return true; }
  std::size_t poll(std::size_t) override { return 0; }
  [[nodiscard]] NicLink link() const override {
    return {.up = up, .full_duplex = true, .speed_mbps = 1000};
  }
  void set_promiscuous(bool) override {}
  void set_multicast(std::span<const MacAddress>) override {}
  [[nodiscard]] bool set_mtu(std::uint16_t) override { return true; }
  [[nodiscard]] NicStatistics statistics() override { return {}; }
  [[nodiscard]] NicHealth health() override { return {}; }
};

}  // namespace ppvmm::net::test
