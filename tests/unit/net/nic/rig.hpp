/// A driver, its simulated device, memory and a pool for both, and the driver's death.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "bench.hpp"
#include "net/headers.hpp"
#include "support/grave.hpp"

namespace ppvmm::net::nic {

template <class Driver, class Device>
class NicRig : public ::testing::Test {
 protected:
  explicit NicRig(std::size_t buffers) : memory_(buffers, 0x4'0000'0000) {
    for (std::size_t i = 0; i < buffers; ++i)
      device_.map(memory_.addresses()[i], memory_.page(i), kBufferBytes);
    for (std::size_t i = 0; i < kDriverPages; ++i) {
      device_.map(own_.addresses()[i], own_.page(i), kBufferBytes);
      pages_.push_back({own_.page(i), own_.addresses()[i]});
    }
    resources_.pages = pages_;
    resources_.pool = &pool_;
    resources_.client = &client_;
  }
  ~NicRig() override {
    pool_.enter(0);
    for (auto& each : dead_)
      ::ppvmm::test::bury(each);
  }

  void start() {
    auto made = Driver::create(resources_);
    ASSERT_TRUE(made);
    nic_ = std::move(*made);
    ASSERT_TRUE(nic_->start());
  }
  /// As a driver of net_uk's: what it takes from the pool is its own.
  void start_owned() {
    pool_.enter(kOwner);
    start();
  }
  /// The driver dies: nothing of it runs any more, and what it held comes back to the pool. Another
  /// one takes over the same pages and the same device, which was at work all the time.
  void replace_driver() {
    dead_.push_back(std::move(nic_));
    for (const Frame& frame : client_.in)
      pool_.give(frame, 0);
    pool_.reclaim_owned(kOwner);
    resources_.inherited = true;
    start();
  }
  /// What arrived while drivers came and went is handed on, all of it and in order. To a driver
  /// that runs as its own (start_owned()); `packet(seed)` makes a packet of 100 bytes.
  template <class Packet>
  void expect_heirs_hand_on(Packet packet) {
    unsigned seed = 0;
    for (int round = 0; round < 12; ++round) {
      // Some that the old driver takes, so that the ring's place moves, and some that it does not.
      for (unsigned i = 0; i < 31; ++i)
        ASSERT_TRUE(device_.arrive(packet(seed++)));
      (void)nic_->poll(64);
      for (unsigned i = 0; i < 50; ++i)
        ASSERT_TRUE(device_.arrive(packet(seed++)));
      ASSERT_NO_FATAL_FAILURE(replace_driver());
      (void)nic_->poll(64);
      ASSERT_EQ(client_.in.size(), 81u) << round;
      for (unsigned i = 0; i < 81; ++i)
        ASSERT_EQ(bytes_of(client_.in[i]), packet(seed - 81 + i)) << round << ", " << i;
      client_.in.clear();
    }
    EXPECT_EQ(device_.faults, 0u);
  }

  [[nodiscard]] Frame frame(const std::vector<std::byte>& bytes, std::uint64_t tag = 0,
                            std::size_t headroom = 0) {
    Frame made = pool_.frame_of(bytes.size(), headroom);
    made.copy_in(0, bytes);
    made.tag() = tag;
    return made;
  }
  /// `length` bytes, counting up from `seed`.
  [[nodiscard]] static std::vector<std::byte> counting(std::size_t length, unsigned seed) {
    std::vector<std::byte> bytes(length);
    for (std::size_t i = 0; i < length; ++i)
      bytes[i] = static_cast<std::byte>(seed + i);
    return bytes;
  }
  /// All that poll() has, as net_uk's loop does it.
  void drain() {
    while (nic_->poll(64) == 64) {
    }
  }

  static constexpr std::uint8_t kOwner = 1;
  Memory memory_;
  Memory own_{kDriverPages, 0x8'0000'0000};
  std::vector<DmaPage> pages_;
  BufferPool pool_{memory_.data(), memory_.addresses(), 600};
  Client client_;
  Device device_;
  Resources resources_;
  std::unique_ptr<Nic> nic_;

 private:
  std::vector<std::unique_ptr<Nic>> dead_;
};

}  // namespace ppvmm::net::nic
