/// A network front-end reduced to what an attacker needs: rings that can be written at will.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "abi/xen.hpp"
#include "kernel/task.hpp"
#include "net/netback/netif.hpp"
#include "xenbus/device.hpp"
#include "xenbus/store.hpp"

namespace ppvmm::test {

/// A request for the TX ring, in netif_tx_request's terms.
struct Request {
  abi::GrantRef grant;
  std::uint16_t offset;
  std::uint16_t flags;
  std::uint16_t id;
  std::uint16_t size;
};

class FrontEnd {
 public:
  FrontEnd(xenbus::Store& store, std::size_t number);

  /// device/vif/`number`, as Linux' front-end does it, with one queue and one event channel.
  [[nodiscard]] kernel::task::Task<bool> connect();
  [[nodiscard]] const std::string& backend() const { return backend_; }

  /// A page of packet data that the back-end may read.
  [[nodiscard]] std::byte* data() { return data_; }
  [[nodiscard]] abi::GrantRef data_grant() const { return data_grant_; }

  /// Puts a request at the end of the TX ring, whether there is room or not.
  void send(const Request& request);
  /// The same for an extra info.
  void send_extra(std::uint8_t type, std::uint8_t flags, std::uint16_t gso_size);
  void notify();

  [[nodiscard]] netif_tx_sring_t& tx() { return *reinterpret_cast<netif_tx_sring_t*>(tx_page_); }
  [[nodiscard]] netif_rx_sring_t& rx() { return *reinterpret_cast<netif_rx_sring_t*>(rx_page_); }

 private:
  static constexpr std::uint32_t kSlots = net::kRingSlots;

  xenbus::Store* store_;
  std::string own_;
  std::string backend_;
  abi::DomId backend_id_{};
  std::byte* tx_page_{};
  std::byte* rx_page_{};
  std::byte* data_{};
  abi::GrantRef data_grant_{};
  abi::Port port_{};
};

}  // namespace ppvmm::test
