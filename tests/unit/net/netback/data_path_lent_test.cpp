// Packets from guest to guest, copied from page to page.
#include "data_path_rig.hpp"

namespace ppvmm::net {
namespace {

using test::Bytes;
using test::ethernet;

class LentTest : public DataPathTest {
 protected:
  void SetUp() override {
    connect(a_);
    connect(b_);
    teach();
  }
  /// After this, a's queue lends.
  void teach() {
    ASSERT_TRUE(a_.send(ethernet(2, 1, 60)));
    run();
    ASSERT_EQ(got(b_).size(), 1u);
    ASSERT_TRUE(a_.reap());
  }
  /// Where a piece lies that `guest` sent, counted from the last one.
  static std::byte* sent(Guest& guest, std::uint32_t from_last) {
    const auto& request = guest.request(guest.tx_requests_ - 1 - from_last);
    return guest.pages()[request.gref - Guest::ref_of(0)].bytes.data() + request.offset;
  }
  /// b has no buffers for what comes next, which waits for some.
  void fill_b() {
    for (std::size_t sent = 0; sent < kRingSlots;) {
      if (a_.send(ethernet(2, 1, 60))) {
        ++sent;
      } else {
        run();
        ASSERT_TRUE(a_.reap());
      }
    }
    run();
    ASSERT_TRUE(a_.reap());
    ASSERT_EQ(a_.unanswered(), 0u);
  }
};

TEST_F(LentTest, GoesFromPageToPage) {
  const Bytes packet = ethernet(2, 1, 20'000, 5);
  ASSERT_TRUE(a_.send(packet));
  run();
  const auto packets = got(b_);
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].bytes, packet);
  EXPECT_GE(xen_.between_guests, 4u);
  EXPECT_EQ(path_->statistics().lent, 1u);
  EXPECT_EQ(path_->statistics().fetched, 0u);
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
}

TEST_F(LentTest, WhatWasJudgedIsDelivered) {
  fill_b();
  const Bytes packet = ethernet(2, 1, 8000, 5);
  ASSERT_TRUE(a_.send(packet));
  run();
  EXPECT_GT(a_.unanswered(), 0u) << "its pages are still needed";
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers - 1) << "its headers are ours";
  EXPECT_FALSE(path_->audit(DataPath::Limits{}).broken);
  EXPECT_TRUE(path_->audit(DataPath::Limits{}).bad.empty());
  *sent(a_, 1) = std::byte{0x33};  // another receiver, too late
  EXPECT_EQ(got(b_).size(), kRingSlots);
  run();
  const auto packets = got(b_);
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].bytes, packet);
}

TEST_F(LentTest, IsGoneWithItsSender) {
  fill_b();
  ASSERT_TRUE(a_.send(ethernet(2, 1, 8000)));
  run();
  path_->remove_vif(ports_[1]);
  ports_.erase(1);
  EXPECT_EQ(got(b_).size(), kRingSlots);
  run();
  EXPECT_TRUE(got(b_).empty()) << "its grants are not ours to use any more";
  EXPECT_EQ(path_->statistics().lent_lost, 1u);
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
}

TEST_F(LentTest, AnotherIncarnationCarriesItOut) {
  fill_b();
  const Bytes packet = ethernet(2, 1, 8000, 9);
  ASSERT_TRUE(a_.send(packet));
  run();
  path_ = std::make_unique<DataPath>(pool_, xen_, DataPath::Limits{});
  EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
  ports_.clear();
  connect(a_);
  connect(b_);
  EXPECT_EQ(got(b_).size(), kRingSlots);
  run();
  const auto packets = got(b_);
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].bytes, packet);
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
}

TEST_F(LentTest, WhatGoesToTheWireIsFetchedOnce) {
  path_->set_nic(&wire_);
  // The switch has to know the station, else it floods.
  wire_.deliver(pool_, *path_, ethernet(1, 99, 60));
  run();
  std::vector<Bytes> packets;
  for (unsigned i = 0; i < 3; ++i) {
    packets.push_back(ethernet(99, 1, i == 1 ? 60 : 9000, i));
    ASSERT_TRUE(a_.send(packets.back()));
  }
  run();
  ASSERT_TRUE(a_.send(packets[0]));
  run();
  wire_.send_all(*path_);
  packets.push_back(packets[0]);
  EXPECT_EQ(wire_.sent, packets) << "whole, and in their order";
  EXPECT_EQ(path_->statistics().lent, 0u);
  EXPECT_EQ(path_->statistics().fetched, 2u) << "both were read before the first was judged";
  run();
  ASSERT_TRUE(a_.reap());
  EXPECT_EQ(a_.unanswered(), 0u);
}

TEST_F(LentTest, WhatIsFloodedIsFetched) {
  connect(c_);
  const Bytes packet = ethernet(0xFF, 1, 9000);
  ASSERT_TRUE(a_.send(packet));
  run();
  for (Guest* const guest : {&b_, &c_}) {
    const auto packets = got(*guest);
    ASSERT_EQ(packets.size(), 1u);
    EXPECT_EQ(packets[0].bytes, packet);
  }
  EXPECT_EQ(path_->statistics().fetched, 1u);
}

TEST_F(LentTest, HeadersInPiecesAreFetched) {
  const Bytes packet = ethernet(2, 1, 300);
  ASSERT_TRUE(a_.send(packet, 20));
  run();
  const auto packets = got(b_);
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].bytes, packet);
  EXPECT_EQ(path_->statistics().fetched, 1u);
  EXPECT_EQ(path_->statistics().lent, 0u);
}

TEST_F(LentTest, AReceiverThatWantsChecksumsGetsThem) {
  VifSettings poor = test::vif_settings(c_);
  poor.abilities = {};
  connect(c_, poor);
  const Bytes packet = ipv4(3, 17, 6000);
  const auto through = [&](bool lends) {
    EXPECT_TRUE(a_.send(packet, 4096, NETTXF_csum_blank | NETTXF_data_validated));
    const std::uint64_t before = path_->statistics().fetched;
    run();
    EXPECT_EQ(path_->statistics().fetched - before, lends ? 1u : 0u);
    return got(c_);
  };
  const auto lent = through(true);
  path_ = std::make_unique<DataPath>(pool_, xen_, DataPath::Limits{});
  ASSERT_TRUE(a_.reap());
  ports_.clear();
  connect(a_);
  connect(b_);
  connect(c_, poor);
  const auto copied = through(false);
  ASSERT_EQ(lent.size(), 1u);
  ASSERT_EQ(copied.size(), 1u);
  EXPECT_NE(lent[0].bytes, packet) << "its checksum was blank";
  EXPECT_EQ(lent[0].bytes, copied[0].bytes);
}

TEST_F(LentTest, TheSenderIsBlamedForItsGrants) {
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(a_.send(ethernet(2, 1, 8000)));
    a_.request(a_.tx_requests_ - 1).gref = 7;
    run();
    ASSERT_TRUE(a_.reap());
    EXPECT_TRUE(got(b_).empty());
    const auto reported = offences();
    if (reported.empty()) continue;
    ASSERT_EQ(reported.size(), 1u);
    EXPECT_EQ(reported[0].port, ports_[1]);
    EXPECT_EQ(reported[0].reason, Hostile::bad_grants);
    EXPECT_GE(a_.statuses[NETIF_RSP_ERROR], 10u);
    EXPECT_EQ(path_->vif(ports_[2])->statistics.rx_bad_grants, 0u);
    EXPECT_EQ(pool_.statistics().free_buffers, kBuffers);
    return;
  }
  FAIL() << "sixteen refused grants are too many";
}

TEST_F(LentTest, TheReceiverIsBlamedForItsGrants) {
  // All of its buffers but those that the first packet uses.
  for (std::size_t i = 1; i < kRingSlots; ++i)
    xen_.revoke(2, Guest::ref_of(kRingSlots + i));
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(a_.send(ethernet(2, 1, 8000)));
    run();
    ASSERT_TRUE(a_.reap());
    static_cast<void>(got(b_));
    const auto reported = offences();
    if (reported.empty()) continue;
    ASSERT_EQ(reported.size(), 1u);
    EXPECT_EQ(reported[0].port, ports_[2]);
    EXPECT_EQ(reported[0].reason, Hostile::bad_grants);
    EXPECT_EQ(path_->vif(ports_[1])->statistics.tx_errors, 0u);
    EXPECT_EQ(a_.statuses[NETIF_RSP_ERROR], 0u);
    return;
  }
  FAIL() << "sixteen refused grants are too many";
}

}  // namespace
}  // namespace ppvmm::net
