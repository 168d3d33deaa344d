/// What drivers' tests have in common: memory, a pool, a client that notes what it is told.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "net/frame.hpp"
#include "net/nic/drivers.hpp"

namespace ppvmm::net::nic {

/// Page-aligned memory whose device addresses have nothing to do with its own.
class Memory {
 public:
  Memory(std::size_t pages, DmaAddress first) : raw_((pages + 1) * kBufferBytes) {
    const auto begin = reinterpret_cast<std::uintptr_t>(raw_.data());
    data_ = raw_.data() + (kBufferBytes - begin % kBufferBytes) % kBufferBytes;
    for (std::size_t i = 0; i < pages; ++i)  // neighbours are not neighbours for the device
      addresses_.push_back(first + 0x10000 * ((i * 11) % pages));
  }
  [[nodiscard]] std::byte* data() { return data_; }
  [[nodiscard]] std::byte* page(std::size_t i) { return data_ + i * kBufferBytes; }
  [[nodiscard]] const std::vector<DmaAddress>& addresses() const { return addresses_; }

 private:
  std::vector<std::byte> raw_;
  std::byte* data_;
  std::vector<DmaAddress> addresses_;
};

class Client final : public NicClient {
 public:
  void received(Frame frame) override { in.push_back(std::move(frame)); }
  void sent(Frame frame) override {
    tags.push_back(frame.tag());
    last_sent = std::move(frame);
  }
  void room() override { ++rooms; }
  void link_changed(NicLink link) override { links.push_back(link); }

  std::vector<Frame> in;
  std::vector<std::uint64_t> tags;  ///< Of sent frames, in order.
  Frame last_sent;
  std::size_t rooms{};
  std::vector<NicLink> links;
};

inline std::vector<std::byte> bytes_of(const Frame& frame) {
  std::vector<std::byte> out(frame.length());
  frame.copy_out(0, out);
  return out;
}

}  // namespace ppvmm::net::nic
