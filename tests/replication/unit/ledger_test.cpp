// The ledger: slots are the same on every replica, partial requests are tracked, checkpoints hold
// it whole and hostile bytes are refused.
#include "replication/ledger.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "store/wire.hpp"

namespace ppvmm::replication {
namespace {

TEST(LedgerTest, GivesTheLowestFreeSlot) {
  Ledger ledger{32};
  for (const DomId domid : {DomId{5}, DomId{3}, DomId{9}})
    ASSERT_NE(ledger.add(domid, domid, {}), nullptr);
  EXPECT_EQ(ledger.find(5)->slot, 0u);
  EXPECT_EQ(ledger.find(3)->slot, 1u);
  EXPECT_EQ(ledger.find(9)->slot, 2u);
  ledger.remove(3);
  EXPECT_EQ(ledger.find(3), nullptr);
  EXPECT_EQ(ledger.add(1, 10, {})->slot, 1u);
  EXPECT_EQ(ledger.seats().front().domid, 1);
}

TEST(LedgerTest, IsFullWithoutASlot) {
  Ledger ledger{32};
  for (DomId domid = 0; domid < 32; ++domid)
    ASSERT_NE(ledger.add(domid, 1, {}), nullptr);
  EXPECT_TRUE(ledger.full());
  EXPECT_EQ(ledger.add(77, 1, {}), nullptr);
}

TEST(LedgerTest, KnowsHowMuchOfALargeRequestIsMissing) {
  Seat seat;
  std::vector<std::byte> request(16 + 3000);
  store::MessageHeader header{.type = store::MessageType::write, .length = 3000};
  std::memcpy(request.data(), &header, sizeof header);
  const std::span bytes{request};
  seat.took(100, bytes.first(1024));
  EXPECT_EQ(seat.missing, 3016u - 1024);
  seat.took(1124, bytes.subspan(1024, 1024));
  seat.took(2148, bytes.subspan(2048));
  EXPECT_EQ(seat.missing, 0u);
  EXPECT_EQ(seat.in, 3116u);

  header.length = 5000;  // breaks the connection
  std::memcpy(request.data(), &header, sizeof header);
  seat.took(3116, bytes.first(16));
  EXPECT_EQ(seat.missing, 0u);
}

TEST(LedgerTest, SurvivesACheckpoint) {
  Ledger ledger{32};
  Seat& seat = *ledger.add(7, 12, {.gfn = 99, .port = 4, .request_base = 1, .response_base = 2});
  seat.in = 1000;
  seat.settled = 500;
  seat.missing = 17;
  ledger.add(8, 13, {});
  std::vector<std::byte> bytes;
  ledger.write(bytes);
  auto read = Ledger::read(bytes, 32);
  ASSERT_TRUE(read);
  std::vector<std::byte> again;
  read->write(again);
  EXPECT_EQ(again, bytes);
  EXPECT_EQ(read->find(7)->missing, 17u);
  EXPECT_EQ(read->find(7)->ring.gfn, 99u);
}

TEST(LedgerTest, RefusesBytesThatAreNoLedger) {
  Ledger ledger{32};
  ledger.add(7, 12, {});
  ledger.add(8, 13, {});
  std::vector<std::byte> good;
  ledger.write(good);
  EXPECT_FALSE(Ledger::read(std::span{good}.first(good.size() - 1), 32)) << "cut off";
  const std::size_t half = good.size() / 2;
  std::vector<std::byte> twice(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(half));
  twice.insert(twice.end(), twice.begin(), twice.end());
  EXPECT_FALSE(Ledger::read(twice, 32)) << "a domain twice";
  auto same_slot = good;
  std::memcpy(same_slot.data() + half + 44, good.data() + 44, 4);
  EXPECT_FALSE(Ledger::read(same_slot, 32)) << "a slot twice";
  auto no_slot = good;
  no_slot[half + 44] = std::byte{32};
  EXPECT_FALSE(Ledger::read(no_slot, 32)) << "a slot that is not there";
}

TEST(LedgerTest, EveryAttachmentIsReportedOnceOldestFirst) {
  Ledger ledger{32};
  ledger.expect_attach({4, 10, 1});
  ledger.expect_attach({5, 12, 1});
  ledger.expect_attach({4, 11, 2});
  ASSERT_EQ(ledger.pending().size(), 3u);
  EXPECT_EQ(ledger.settle_attach(4)->gfn, 10u);
  EXPECT_EQ(ledger.settle_attach(4)->gfn, 11u);
  EXPECT_FALSE(ledger.settle_attach(4));
  EXPECT_TRUE(ledger.settle_attach(5));
}

}  // namespace
}  // namespace ppvmm::replication
