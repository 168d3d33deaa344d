#include "sim_82574.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ppvmm::net::nic::e1000e {
namespace {

constexpr std::uint32_t kPermanentLow = 0x00545200 | 0x12000000;  // 00:52:54:12:...
constexpr std::uint32_t kPermanentHigh = 0x00005634;

}  // namespace

Sim82574::Sim82574() : regs_(kRegisterBytes / 4) {
  reset();
  resets = 0;
}

void Sim82574::map(std::uint64_t address, std::byte* data, std::size_t bytes) {
  memory_[address] = {data, bytes};
}

std::byte* Sim82574::at(std::uint64_t address, std::size_t bytes) {
  auto range = memory_.upper_bound(address);
  if (range == memory_.begin()) {
    ++faults;
    return nullptr;
  }
  --range;
  const std::uint64_t offset = address - range->first;
  if (offset + bytes > range->second.bytes) {
    ++faults;
    return nullptr;
  }
  return range->second.data + offset;
}

void Sim82574::reset() {
  ++resets;
  const std::uint32_t status = link_ ? status::kLinkUp : 0;
  std::ranges::fill(regs_, 0u);
  set(Reg::status, status | status::kFullDuplex | 2u << status::kSpeedShift |
                       (master_stuck ? status::kMasterActive : 0));
  set(Reg::eecd, eecd::kAutoReadDone);
  set(Reg::ral0, kPermanentLow);
  set(Reg::rah0, kPermanentHigh | kRahValid);
  causes_ = mask_ = 0;
  context_ = {};
  assembling_.clear();
  owed_.clear();
}

std::uint32_t Sim82574::read32(std::size_t offset) {
  if (gone) return kGone;
  switch (static_cast<Reg>(offset)) {
    case Reg::icr:
      return std::exchange(causes_, 0);
    case Reg::ims:
      return mask_;
    case Reg::mpc:
    case Reg::crcerrs:
    case Reg::rxerrc:
    case Reg::rlec:
      return std::exchange(regs_[offset / 4], 0);
    default:
      return regs_[offset / 4];
  }
}

void Sim82574::write32(std::size_t offset, std::uint32_t value) {
  if (gone) return;
  switch (static_cast<Reg>(offset)) {
    case Reg::ctrl:
      if ((value & 1u << 31) != 0) ++link_negotiations;  // PHY_RST
      if ((value & ctrl::kReset) != 0) {
        if (never_resets) {
          set(Reg::ctrl, value);
          return;
        }
        reset();
        return;
      }
      set(Reg::ctrl, value);
      if ((value & ctrl::kMasterDisable) != 0 && !master_stuck) {
        set(Reg::status, get(Reg::status) & ~status::kMasterActive);
      }
      return;
    case Reg::ims:
      mask_ |= value;
      return;
    case Reg::imc:
      mask_ &= ~value;
      return;
    case Reg::ics:
      causes_ |= value;
      return;
    case Reg::tdt:
      ++tail_writes;
      regs_[offset / 4] = value;
      transmit();
      return;
    case Reg::tctl:
      regs_[offset / 4] = value;
      transmit();
      return;
    default:
      regs_[offset / 4] = value;
  }
}

std::uint64_t Sim82574::ring(Reg low, Reg high, Reg length, Reg index) {
  const std::uint64_t base = get(low) | std::uint64_t{get(high)} << 32;
  const std::uint64_t offset = std::uint64_t{get(index)} * 16;
  return offset < get(length) ? base + offset : 0;
}

void Sim82574::transmit() {
  if ((get(Reg::tctl) & tctl::kEnable) == 0 || stuck) return;
  if ((get(Reg::ctrl) & ctrl::kMasterDisable) != 0) {
    ++dma_while_quiet;
    return;
  }
  const std::uint32_t count = get(Reg::tdlen) / 16;
  while (count > 0 && get(Reg::tdh) != get(Reg::tdt)) {
    const std::uint64_t place = ring(Reg::tdbal, Reg::tdbah, Reg::tdlen, Reg::tdh);
    const std::byte* const memory = at(place, 16);
    if (memory == nullptr) return;
    TransmitDescriptor one;
    std::memcpy(&one, memory, sizeof one);
    set(Reg::tdh, (get(Reg::tdh) + 1) % count);
    if ((one.lower & tx::kExtended) == 0) {
      ++faults;  // a legacy descriptor: the driver uses none
      continue;
    }
    if ((one.lower & 0xFu << 20) == tx::kTypeContext) {
      context_ = {static_cast<std::uint32_t>(one.first),
                  static_cast<std::uint32_t>(one.first >> 32), one.lower, one.upper};
      continue;
    }
    const std::size_t length = one.lower & 0xFFFFF;
    const std::byte* const data = at(one.first, length);
    if (data == nullptr) return;
    assembling_.insert(assembling_.end(), data, data + length);
    if ((one.lower & tx::kEnd) != 0) {
      sent.push_back({.bytes = std::move(assembling_),
                      .options = one.upper,
                      .segment = (one.lower & tx::kSegment) != 0,
                      .context = context_});
      assembling_.clear();
    }
    if ((one.lower & tx::kReport) != 0) owed_.push_back(place);
  }
  if (!holds_back) write_back();
}

void Sim82574::write_back() {
  for (const std::uint64_t place : owed_) {
    std::byte* const memory = at(place, 16);
    if (memory == nullptr) continue;
    TransmitDescriptor one;
    std::memcpy(&one, memory, sizeof one);
    one.upper |= tx::kDone;
    std::memcpy(memory, &one, sizeof one);
  }
  if (!owed_.empty()) causes_ |= cause::kTransmitDone;
  owed_.clear();
}

void Sim82574::finish() {
  stuck = false;
  holds_back = false;
  transmit();
  write_back();
}

bool Sim82574::arrive(const std::vector<std::byte>& packet, std::uint8_t extra_status,
                      std::uint8_t errors) {
  if (gone || (get(Reg::rctl) & rctl::kEnable) == 0) return false;
  const std::uint32_t filter = get(Reg::rctl);
  const bool group = packet.size() > 5 && (std::to_integer<unsigned>(packet[0]) & 1) != 0;
  const bool broadcast = group && std::all_of(packet.begin(), packet.begin() + 6,
                                              [](std::byte b) { return b == std::byte{0xFF}; });
  if (group && !broadcast && (filter & rctl::kMulticastPromiscuous) == 0) {
    const unsigned hash =
        (std::to_integer<unsigned>(packet[5]) << 4 | std::to_integer<unsigned>(packet[4]) >> 4) &
        0xFFF;
    const std::uint32_t word = regs_[static_cast<std::size_t>(Reg::mta) / 4 + (hash >> 5)];
    if ((word & 1u << (hash & 31)) == 0) return false;
  }
  if (!group && (filter & rctl::kUnicastPromiscuous) == 0) {
    const std::uint64_t own = get(Reg::ral0) | std::uint64_t{get(Reg::rah0) & 0xFFFF} << 32;
    std::uint64_t to = 0;
    std::memcpy(&to, packet.data(), 6);
    if (to != own) return false;
  }
  if (packet.size() > 1522 && (filter & rctl::kLongPackets) == 0) return false;
  const std::uint32_t count = get(Reg::rdlen) / 16;
  std::size_t done = 0;
  do {
    if (count == 0 || get(Reg::rdh) == get(Reg::rdt)) {
      set(Reg::mpc, get(Reg::mpc) + 1);
      causes_ |= cause::kReceiveOverrun;
      return false;
    }
    const std::uint64_t place = ring(Reg::rdbal, Reg::rdbah, Reg::rdlen, Reg::rdh);
    std::byte* const memory = at(place, 16);
    if (memory == nullptr) return false;
    ReceiveDescriptor one;
    std::memcpy(&one, memory, sizeof one);
    const std::size_t piece = std::min<std::size_t>(packet.size() - done, 4096);
    std::byte* const buffer = at(one.address, 4096);
    if (buffer == nullptr) return false;
    std::memcpy(buffer, packet.data() + done, piece);
    done += piece;
    one.length = static_cast<std::uint16_t>(piece);
    const bool last = done == packet.size();
    one.errors = last ? errors : 0;
    one.status =
        static_cast<std::uint8_t>(rx_status::kDone | (last ? rx_status::kEnd | extra_status : 0));
    std::memcpy(memory, &one, sizeof one);
    set(Reg::rdh, (get(Reg::rdh) + 1) % count);
  } while (done < packet.size());
  causes_ |= cause::kReceiveTimer;
  return true;
}

void Sim82574::plug(bool in) {
  if (link_ == in) return;
  link_ = in;
  const std::uint32_t status = get(Reg::status) & ~status::kLinkUp;
  set(Reg::status, in ? status | status::kLinkUp : status);
  if (in) ++link_negotiations;
  causes_ |= cause::kLinkChange;
}

}  // namespace ppvmm::net::nic::e1000e
