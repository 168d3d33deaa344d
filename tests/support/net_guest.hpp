/// Guests of a network back-end for tests: their memory, their grants, their ends of the rings, and
/// the copying that Xen does between them and us.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "net/frame.hpp"
#include "net/netback/grant_copy.hpp"
#include "net/netback/netif.hpp"
#include "net/netback/vif.hpp"

namespace ppvmm::net::test {

using Bytes = std::vector<std::byte>;

struct alignas(4096) Page {
  std::array<std::byte, 4096> bytes{};
};

/// What Xen knows: who granted which page.
class FakeXen final : public GrantCopier {
 public:
  explicit FakeXen(BufferPool& pool) : pool_(&pool) {}

  void grant(abi::DomId domid, abi::GrantRef ref, std::byte* page) { pages_[{domid, ref}] = page; }
  void revoke(abi::DomId domid, abi::GrantRef ref) { pages_.erase({domid, ref}); }

  void copy(std::span<GrantCopy> batch) override {
    ++calls;
    for (GrantCopy& each : batch) {
      const auto page = pages_.find({each.domid, each.grant});
      const bool between = each.direction == GrantCopy::Direction::between_guests;
      const auto lent = between ? pages_.find({each.lender, each.buffer}) : pages_.end();
      each.failed = page == pages_.end() || each.length == 0 ||
                    each.guest_offset + each.length > 4096 ||
                    each.buffer_offset + each.length > kBufferBytes ||
                    (between ? lent == pages_.end() : each.buffer >= pool_->pages().size());
      if (each.failed) continue;
      between_guests += between ? 1u : 0u;
      std::byte* const guest = page->second + each.guest_offset;
      std::byte* const own =
          (between ? lent->second : pool_->data(each.buffer)) + each.buffer_offset;
      if (each.direction == GrantCopy::Direction::from_guest) {
        std::memcpy(own, guest, each.length);
      } else {
        std::memcpy(guest, own, each.length);
      }
    }
  }

  std::size_t calls{};
  std::size_t between_guests{};  ///< Copies that needed none of our buffers.

 private:
  BufferPool* pool_;
  std::map<std::pair<abi::DomId, abi::GrantRef>, std::byte*> pages_;
};

/// A received packet.
struct Received {
  Bytes bytes;
  std::uint16_t flags{};
  std::uint8_t gso_type{};
  std::uint16_t gso_size{};
};

/// One guest with one queue, as Linux' front-end behaves: it checks all that the back-end does.
class Guest {
 public:
  Guest(FakeXen& xen, abi::DomId domid) : domid_(domid), pages_(2 * kRingSlots) {
    for (std::uint32_t i = 0; i < pages_.size(); ++i)
      xen.grant(domid, ref_of(i), pages_[i].bytes.data());
    for (std::uint16_t i = 0; i < kRingSlots; ++i)
      free_tx_.push_back(i);
    tx().req_event = tx().rsp_event = 1;
    rx().req_event = rx().rsp_event = 1;
    post(kRingSlots);
  }

  [[nodiscard]] abi::DomId domid() const { return domid_; }
  [[nodiscard]] std::byte* tx_page() { return tx_.bytes.data(); }
  [[nodiscard]] std::byte* rx_page() { return rx_.bytes.data(); }
  [[nodiscard]] netif_tx_sring_t& tx() { return *reinterpret_cast<netif_tx_sring_t*>(tx_page()); }
  [[nodiscard]] netif_rx_sring_t& rx() { return *reinterpret_cast<netif_rx_sring_t*>(rx_page()); }
  [[nodiscard]] netif_tx_request_t& request(std::uint32_t index) {
    return tx().ring[index % kRingSlots].req;
  }

  /// Offers `count` empty buffers.
  void post(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      auto& request = rx().ring[rx_requests_ % kRingSlots].req;
      request.id = static_cast<std::uint16_t>(rx_requests_ % kRingSlots);
      request.gref = ref_of(kRingSlots + rx_requests_ % kRingSlots);
      ++rx_requests_;
    }
    rx().req_prod = rx_requests_;
  }

  /// Sends a packet in pieces of up to `piece` bytes. False if there is no room.
  bool send(const Bytes& packet, std::size_t piece = 4096, std::uint16_t flags = 0,
            std::optional<netif_extra_info_t> extra = std::nullopt) {
    const std::size_t count = (packet.size() + piece - 1) / piece;
    if (free_tx_.size() < count + 1) return false;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint16_t id = free_tx_.back();
      free_tx_.pop_back();
      busy_tx_.insert(id);
      const std::size_t at = i * piece;
      const std::size_t bytes = std::min(piece, packet.size() - at);
      const auto offset = static_cast<std::uint16_t>(id % 7 * 16 % (4097 - bytes));
      std::memcpy(pages_[id].bytes.data() + offset, packet.data() + at, bytes);
      netif_tx_request_t request{};
      request.gref = ref_of(id);
      request.offset = offset;
      request.id = id;
      request.size = static_cast<std::uint16_t>(i == 0 ? packet.size() : bytes);
      request.flags =
          static_cast<std::uint16_t>((i == 0 ? flags : 0) | (i + 1 < count ? NETTXF_more_data : 0));
      if (i == 0 && extra) request.flags |= NETTXF_extra_info;
      this->request(tx_requests_++) = request;
      if (i == 0 && extra) std::memcpy(&this->request(tx_requests_++), &*extra, sizeof *extra);
    }
    tx().req_prod = tx_requests_;
    return true;
  }

  /// Takes all responses to what was sent. False if the back-end did what it must not.
  bool reap() {
    while (tx_responses_ != tx().rsp_prod) {
      if (tx().rsp_prod - tx_responses_ > kRingSlots) return false;
      const auto response = tx().ring[tx_responses_++ % kRingSlots].rsp;
      if (response.status == NETIF_RSP_NULL) continue;
      if (busy_tx_.erase(response.id) != 1) return false;
      free_tx_.push_back(response.id);
      ++statuses[response.status];
    }
    tx().rsp_event = tx_responses_ + 1;
    return true;
  }

  /// Takes all packets received; what was taken is offered again. False as in reap().
  bool receive(std::vector<Received>& out) {
    std::uint32_t taken = 0;
    while (rx_responses_ != rx().rsp_prod) {
      if (rx().rsp_prod - rx_responses_ > kRingSlots) return false;
      Received packet;
      bool more = true;
      bool good = true;
      for (bool first = true; more; first = false) {
        if (rx_responses_ == rx().rsp_prod) return false;  // a packet cut off
        const std::uint32_t index = rx_responses_++ % kRingSlots;
        const auto response = rx().ring[index].rsp;
        ++taken;
        if (response.id != index) return false;
        if (response.status < 0) {
          good = false;
        } else {
          const std::byte* const page = pages_[kRingSlots + index].bytes.data();
          if (response.offset + response.status > 4096) return false;
          packet.bytes.insert(packet.bytes.end(), page + response.offset,
                              page + response.offset + response.status);
        }
        more = (response.flags & NETRXF_more_data) != 0;
        if (first) packet.flags = response.flags;
        if (first && (response.flags & NETRXF_extra_info) != 0) {
          netif_extra_info_t info;
          if (rx_responses_ == rx().rsp_prod) return false;
          std::memcpy(&info, &rx().ring[rx_responses_++ % kRingSlots], sizeof info);
          ++taken;
          packet.gso_type = info.u.gso.type;
          packet.gso_size = info.u.gso.size;
        }
      }
      if (good) {
        out.push_back(std::move(packet));
      } else {
        ++bad_packets;
      }
    }
    rx().rsp_event = rx_responses_ + 1;
    post(taken);
    return true;
  }

  [[nodiscard]] std::size_t unanswered() const { return busy_tx_.size(); }
  [[nodiscard]] static abi::GrantRef ref_of(std::size_t page) {
    return static_cast<abi::GrantRef>(100 + page);
  }
  [[nodiscard]] std::vector<Page>& pages() { return pages_; }

  std::map<int, std::size_t> statuses;  ///< Responses by status.
  std::size_t bad_packets{};
  std::uint32_t tx_requests_{};

 private:
  abi::DomId domid_;
  Page tx_;
  Page rx_;
  std::vector<Page> pages_;  ///< 256 to send from, 256 to receive into.
  std::vector<std::uint16_t> free_tx_;
  std::set<std::uint16_t> busy_tx_;
  std::uint32_t tx_responses_{};
  std::uint32_t rx_requests_{};
  std::uint32_t rx_responses_{};
};

/// An Ethernet frame of `length` bytes, its payload numbered from `seed` on.
inline Bytes ethernet(std::uint8_t to, std::uint8_t from, std::size_t length, unsigned seed = 0) {
  Bytes frame(length);
  const auto station = [&](std::size_t at, std::uint8_t which) {
    if (which == 0xFF) {
      std::fill_n(frame.begin() + static_cast<long>(at), 6, std::byte{0xFF});
      return;
    }
    const std::array<std::uint8_t, 6> address{0x00, 0x16, 0x3E, 0, 0, which};
    for (std::size_t i = 0; i < 6; ++i)
      frame[at + i] = std::byte{address[i]};
  };
  station(0, to);
  station(6, from);
  frame[12] = std::byte{0x88};
  frame[13] = std::byte{0xB5};  // local experimental
  for (std::size_t i = 14; i < length; ++i)
    frame[i] = static_cast<std::byte>(seed + i * 31);
  return frame;
}

inline std::array<std::uint8_t, 6> mac(std::uint8_t which) {
  return {0x00, 0x16, 0x3E, 0, 0, which};
}

/// An ordinary vif of this guest.
inline VifSettings vif_settings(const Guest& guest) {
  return {.domid = guest.domid(),
          .handle = 0,
          .mac = mac(static_cast<std::uint8_t>(guest.domid())),
          .rate = {},
          .only_own = false,
          .ipv4 = {},
          .scatter_gather = true,
          .abilities = {true, true, true, true}};
}

}  // namespace ppvmm::net::test
