#include <gtest/gtest.h>

#include <cstring>

#include "pci/channel.hpp"
#include "pci/device.hpp"
#include "pci/kept.hpp"

namespace ppvmm::pci {
namespace {

TEST(Bar, MemoryOf32And64BitsIsUnderstood) {
  const Bar narrow = decode_bar(0xFEB80000, 0xFFFE0000, 0, 0);
  EXPECT_EQ(narrow.machine, 0xFEB80000u);
  EXPECT_EQ(narrow.bytes, 0x20000u);
  EXPECT_FALSE(narrow.wide);
  const Bar wide = decode_bar(0x0000000C, 0xFFFFC00C, 0x8, 0xFFFFFFFF);
  EXPECT_EQ(wide.machine, 0x8'0000'0000u);
  EXPECT_EQ(wide.bytes, 0x4000u);
  EXPECT_TRUE(wide.wide);
  const Bar huge = decode_bar(0x4, 0x4, 0x10, 0xFFFFFFF0);
  EXPECT_EQ(huge.bytes, 0x10'0000'0000u);
}

TEST(Bar, PortsAbsenceAndNonsenseAreNoMemory) {
  EXPECT_EQ(decode_bar(0xC001, 0xFFE1, 0, 0).bytes, 0u);
  EXPECT_EQ(decode_bar(0, 0, 0, 0).bytes, 0u);
  EXPECT_EQ(decode_bar(0xFEB80000, 0xFFFE1000, 0, 0).bytes, 0u);  // no power of two
  EXPECT_EQ(decode_bar(0x4, 0x4, 0, 0).bytes, 0u);                // 64 bits, of nothing
}

TEST(PciAddress, IsReadAsTheBackEndWritesIt) {
  EXPECT_EQ(parse_address("0000:00:10.00"), (Address{0, 0, 0x80}));
  EXPECT_EQ(parse_address("0001:3f:1F.7"), (Address{1, 0x3F, 0xFF}));
  for (const char* const wrong :
       {"", "0000", "0000:00", "0000:00:10", "0000:00:10.", "0000:00:20.0", "0000:00:10.8",
        "0000:00:10.0 ", "x000:00:10.0", "0000-00:10.0", "00000:00:10.0"}) {
    EXPECT_EQ(parse_address(wrong), std::nullopt) << wrong;
  }
}

TEST(KeptDevices, AreBelievedOnlyWhenSealed) {
  Kept kept{};
  EXPECT_FALSE(sound(kept));  // fresh memory
  kept.count = 1;
  kept.devices[0].vendor = 0x8086;
  kept.interrupts[0] = {.msix = false, .count = 1, .pirqs = {55}};
  seal(kept);
  EXPECT_TRUE(sound(kept));
  auto* const bytes = reinterpret_cast<unsigned char*>(&kept);
  for (std::size_t at = 0; at < sizeof kept; at += 37) {
    bytes[at] ^= 0x10;
    EXPECT_FALSE(sound(kept)) << at;
    bytes[at] ^= 0x10;
  }
  EXPECT_TRUE(sound(kept));
  kept.count = kDevicesMax + 1;
  seal(kept);
  EXPECT_FALSE(sound(kept));
}

class ChannelTest : public ::testing::Test {
 protected:
  ChannelTest() { channel_.begin(); }
  xen_pci_sharedinfo page_{};
  Channel channel_{page_};
};

TEST_F(ChannelTest, AnOperationGoesOutAndItsAnswerComesBack) {
  EXPECT_EQ(page_.flags, static_cast<std::uint32_t>(XEN_PCIB_AERHANDLER));
  xen_pci_op operation{};
  operation.cmd = XEN_PCI_OP_conf_read;
  operation.devfn = 0x80;
  operation.offset = 4;
  channel_.submit(operation);
  EXPECT_TRUE(channel_.busy());
  EXPECT_EQ(page_.op.devfn, 0x80u);
  page_.op.value = 0x1234;
  page_.flags &= ~static_cast<std::uint32_t>(XEN_PCIF_active);
  EXPECT_FALSE(channel_.busy());
  ASSERT_TRUE(channel_.result());
  EXPECT_EQ(channel_.result()->value, 0x1234u);
  const std::pair<int, Error> errors[] = {{XEN_PCI_ERR_dev_not_found, Error::no_device},
                                          {XEN_PCI_ERR_invalid_offset, Error::bad_offset},
                                          {XEN_PCI_ERR_access_denied, Error::denied},
                                          {XEN_PCI_ERR_not_implemented, Error::unsupported},
                                          {XEN_PCI_ERR_op_failed, Error::failed},
                                          {-19, Error::no_device},
                                          {-9999, Error::failed},
                                          {1, Error::failed}};
  for (const auto& [number, error] : errors) {
    page_.op.err = number;
    EXPECT_EQ(channel_.result().error(), error) << number;
  }
  channel_.submit(operation);
  channel_.withdraw();
  EXPECT_FALSE(channel_.busy());
}

TEST_F(ChannelTest, ErrorNoticesAreTakenAndAnswered) {
  EXPECT_FALSE(channel_.notice());
  page_.aer_op.cmd = XEN_PCI_OP_aer_slotreset;
  page_.aer_op.devfn = 0x80;
  page_.flags |= XEN_PCIB_active;
  const auto notice = channel_.notice();
  ASSERT_TRUE(notice);
  EXPECT_EQ(notice->kind, Notice::Kind::slot_reset);
  EXPECT_EQ(notice->address.devfn, 0x80u);
  channel_.answer(Recovery::recovered);
  EXPECT_FALSE(channel_.notice());
  EXPECT_EQ(page_.aer_op.err, 5);
  page_.aer_op.cmd = 9999;
  page_.flags |= XEN_PCIB_active;
  EXPECT_EQ(channel_.notice()->kind, Notice::Kind::error_detected);
}

}  // namespace
}  // namespace ppvmm::pci
