/// Registers and descriptors of the Intel 82574L, as its datasheet has them ("Intel 82574 GbE
/// Controller Family Datasheet", revision 3.4; section numbers below are its).
#pragma once

#include <cstddef>
#include <cstdint>

namespace ppvmm::net::nic::e1000e {

/// Section 10.2: offsets in BAR 0.
enum class Reg : std::uint32_t {
  ctrl = 0x0000,      // 10.2.2.1 device control
  status = 0x0008,    // 10.2.2.2 device status
  eecd = 0x0010,      // 10.2.2.3 EEPROM/flash control
  ctrl_ext = 0x0018,  // 10.2.2.5 extended device control
  icr = 0x00C0,       // 10.2.4.1 interrupt cause read
  itr = 0x00C4,       // 10.2.4.2 interrupt throttling
  ics = 0x00C8,       // 10.2.4.4 interrupt cause set
  ims = 0x00D0,       // 10.2.4.5 interrupt mask set
  imc = 0x00D8,       // 10.2.4.6 interrupt mask clear
  rctl = 0x0100,      // 10.2.5.1 receive control
  tctl = 0x0400,      // 10.2.6.1 transmit control
  tipg = 0x0410,      // 10.2.6.2 inter-packet gap
  rdbal = 0x2800,     // 10.2.5.5 receive ring, low half of its address
  rdbah = 0x2804,     // 10.2.5.6 ... high half
  rdlen = 0x2808,     // 10.2.5.7 ... bytes
  rdh = 0x2810,       // 10.2.5.8 ... head: the device's place
  rdt = 0x2818,       // 10.2.5.9 ... tail: ours
  rdtr = 0x2820,      // 10.2.5.10 receive delay timer
  rxdctl = 0x2828,    // 10.2.5 receive descriptor control
  radv = 0x282C,      // 10.2.5 absolute receive delay
  tdbal = 0x3800,     // 10.2.6.4 transmit ring, as above
  tdbah = 0x3804,
  tdlen = 0x3808,
  tdh = 0x3810,
  tdt = 0x3818,
  txdctl = 0x3828,   // 10.2.6.10 transmit descriptor control
  crcerrs = 0x4000,  // 10.2.7 statistics: cleared by reading
  rxerrc = 0x400C,
  mpc = 0x4010,     // 10.2.7 packets missed for want of a descriptor
  rlec = 0x4040,    // 10.2.7 length errors
  rxcsum = 0x5000,  // 10.2.5 receive checksum control
  rfctl = 0x5008,   // 10.2.5 receive filter control
  mta = 0x5200,     // 10.2.5.21 multicast table: 128 words
  ral0 = 0x5400,    // 10.2.5.22 our address, low four bytes
  rah0 = 0x5404,    // 10.2.5.23 ... high two bytes, and whether it is valid
  mrqc = 0x5818,    // 10.2.5 multiple receive queues command
};

/// BAR 0 is 128 KiB.
inline constexpr std::size_t kRegisterBytes = 0x20000;
/// What a read of a device that is gone gives.
inline constexpr std::uint32_t kGone = 0xFFFFFFFF;

namespace ctrl {
inline constexpr std::uint32_t kMasterDisable = 1u << 2;  ///< GIO master disable
inline constexpr std::uint32_t kAutoSpeed = 1u << 5;      ///< ASDE: must be 0 in the 82574
inline constexpr std::uint32_t kLinkUp = 1u << 6;         ///< SLU
inline constexpr std::uint32_t kForceSpeed = 1u << 11;
inline constexpr std::uint32_t kForceDuplex = 1u << 12;
inline constexpr std::uint32_t kReset = 1u << 26;  ///< RST: the MAC, not the PHY
}  // namespace ctrl

namespace status {
inline constexpr std::uint32_t kFullDuplex = 1u << 0;
inline constexpr std::uint32_t kLinkUp = 1u << 1;
inline constexpr std::uint32_t kSpeedShift = 6;           ///< 2 bits: 10, 100, 1000, 1000
inline constexpr std::uint32_t kMasterActive = 1u << 19;  ///< GIO master enable status
}  // namespace status

namespace eecd {
inline constexpr std::uint32_t kAutoReadDone = 1u << 9;
}

/// ICR, ICS, IMS, IMC.
namespace cause {
inline constexpr std::uint32_t kTransmitDone = 1u << 0;
inline constexpr std::uint32_t kLinkChange = 1u << 2;
inline constexpr std::uint32_t kReceiveThreshold = 1u << 4;
inline constexpr std::uint32_t kReceiveOverrun = 1u << 6;
inline constexpr std::uint32_t kReceiveTimer = 1u << 7;
inline constexpr std::uint32_t kWanted =
    kTransmitDone | kLinkChange | kReceiveThreshold | kReceiveOverrun | kReceiveTimer;
inline constexpr std::uint32_t kAll = 0xFFFFFFFF;
}  // namespace cause

namespace rctl {
inline constexpr std::uint32_t kEnable = 1u << 1;
inline constexpr std::uint32_t kUnicastPromiscuous = 1u << 3;
inline constexpr std::uint32_t kMulticastPromiscuous = 1u << 4;
inline constexpr std::uint32_t kLongPackets = 1u << 5;  ///< up to 16 KiB
inline constexpr std::uint32_t kBroadcast = 1u << 15;
inline constexpr std::uint32_t kBuffers4096 = 3u << 16 | 1u << 25;  ///< BSIZE 11b with BSEX
inline constexpr std::uint32_t kStripCrc = 1u << 26;
}  // namespace rctl

namespace tctl {
inline constexpr std::uint32_t kEnable = 1u << 1;
inline constexpr std::uint32_t kPadShort = 1u << 3;
inline constexpr std::uint32_t kCollisions = 0x0Fu << 4;  ///< CT, as 10.2.6.1 recommends
inline constexpr std::uint32_t kDistance = 0x3Fu << 12;   ///< COLD for full duplex
}  // namespace tctl

/// 4.6.6: IPGT 8, IPGR1 2, IPGR2 10, the shortest legal gap.
inline constexpr std::uint32_t kTipg = 10u << 20 | 2u << 10 | 8;
/// 4.6.6: count in descriptors (GRAN), and write each back at once (WTHRESH 1). Bit 22 is one that
/// Linux' driver sets for this family; it is kept set.
inline constexpr std::uint32_t kTxdctl = 1u << 24 | 1u << 22 | 1u << 16;

namespace rxcsum {
inline constexpr std::uint32_t kIp = 1u << 8;
inline constexpr std::uint32_t kTcpUdp = 1u << 9;
}  // namespace rxcsum

inline constexpr std::uint32_t kRahValid = 1u << 31;
inline constexpr std::size_t kMtaWords = 128;
/// ITR counts in 256 ns.
inline constexpr std::uint32_t kItrNanoseconds = 256;

/// 7.1.3: legacy receive descriptor.
struct ReceiveDescriptor {
  std::uint64_t address;
  std::uint16_t length;
  std::uint16_t checksum;
  std::uint8_t status;
  std::uint8_t errors;
  std::uint16_t vlan;
};
static_assert(sizeof(ReceiveDescriptor) == 16);

namespace rx_status {
inline constexpr std::uint8_t kDone = 1u << 0;
inline constexpr std::uint8_t kEnd = 1u << 1;             ///< EOP
inline constexpr std::uint8_t kIgnoreChecksum = 1u << 2;  ///< IXSM
inline constexpr std::uint8_t kUdpChecked = 1u << 4;
inline constexpr std::uint8_t kTcpChecked = 1u << 5;
}  // namespace rx_status

namespace rx_error {
/// CE SE SEQ CXE RXE
inline constexpr std::uint8_t kFrame = 1u << 0 | 1u << 1 | 1u << 2 | 1u << 4 | 1u << 7;
inline constexpr std::uint8_t kTcpUdp = 1u << 5;
inline constexpr std::uint8_t kIp = 1u << 6;
}  // namespace rx_error

/// 7.2.10: transmit descriptors of the extended kind, context and data, as words.
struct TransmitDescriptor {
  std::uint64_t first;  ///< Data: address. Context: where checksums begin and go.
  std::uint32_t lower;  ///< Length and command.
  std::uint32_t upper;  ///< Status (bit 0: done), and options or segment sizes.
};
static_assert(sizeof(TransmitDescriptor) == 16);

namespace tx {
inline constexpr std::uint32_t kTypeData = 1u << 20;
inline constexpr std::uint32_t kTypeContext = 0u << 20;
// DCMD and TUCMD, from bit 24 on.
inline constexpr std::uint32_t kEnd = 1u << 24;        ///< EOP (data)
inline constexpr std::uint32_t kInsertCrc = 1u << 25;  ///< IFCS (data)
inline constexpr std::uint32_t kTcp = 1u << 24;        ///< (context)
inline constexpr std::uint32_t kIpv4 = 1u << 25;       ///< (context)
inline constexpr std::uint32_t kSegment = 1u << 26;    ///< TSE (both)
inline constexpr std::uint32_t kReport = 1u << 27;     ///< RS (data)
inline constexpr std::uint32_t kExtended = 1u << 29;   ///< DEXT
// Upper word of a data descriptor: POPTS.
inline constexpr std::uint32_t kInsertIpChecksum = 1u << 8;
inline constexpr std::uint32_t kInsertL4Checksum = 1u << 9;
inline constexpr std::uint32_t kDone = 1u << 0;
}  // namespace tx

}  // namespace ppvmm::net::nic::e1000e
