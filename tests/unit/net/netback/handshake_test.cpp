#include "net/netback/handshake.hpp"

#include <gtest/gtest.h>

#include "net/netback/vif_record.hpp"

namespace ppvmm::net {
namespace {

constexpr std::uint64_t kMs = 1'000'000;

class HandshakeTest : public ::testing::Test {
 protected:
  Handshake handshake_;
  BusView view_{.present = true,
                .backend = BusState::initialising,
                .frontend = BusState::initialising,
                .online = true};
  std::uint64_t now_{1000 * kMs};

  /// One step, carried out as the image does it.
  BusStep step() {
    const BusStep step = handshake_.next(view_, now_);
    handshake_.done(step, now_);
    switch (step) {
      case BusStep::advertise:
        view_.backend = BusState::init_wait;
        break;
      case BusStep::connect:
        view_.backend = BusState::connected;
        break;
      case BusStep::disconnect:
        view_.backend = BusState::closing;
        break;
      case BusStep::close:
        view_.backend = BusState::closed;
        break;
      default:
        break;
    }
    return step;
  }
  void connect() {
    ASSERT_EQ(step(), BusStep::advertise);
    view_.frontend = BusState::connected;
    now_ += Handshake::kInitWaitDwellNs;
    ASSERT_EQ(step(), BusStep::connect);
  }
};

TEST_F(HandshakeTest, AnswersAFrontendThatClosesWhatItNeverOpened) {
  ASSERT_EQ(step(), BusStep::advertise);
  view_.frontend = BusState::closing;
  EXPECT_EQ(step(), BusStep::disconnect);
  EXPECT_EQ(step(), BusStep::nothing);
  view_.frontend = BusState::closed;
  EXPECT_EQ(step(), BusStep::close);
  // And a new one in the same directory is served.
  view_.frontend = BusState::initialising;
  EXPECT_EQ(step(), BusStep::advertise);
}

TEST_F(HandshakeTest, ConnectsWhenTheFrontendIsAndXlHasSeenInitWait) {
  EXPECT_EQ(step(), BusStep::advertise);
  EXPECT_EQ(step(), BusStep::nothing);
  view_.frontend = BusState::connected;
  EXPECT_EQ(step(), BusStep::nothing) << "too early for whoever polls the state";
  ASSERT_TRUE(handshake_.wakes_at());
  now_ = *handshake_.wakes_at();
  EXPECT_EQ(step(), BusStep::connect);
  EXPECT_TRUE(handshake_.connected());
  EXPECT_EQ(step(), BusStep::nothing);
}

TEST_F(HandshakeTest, NobodyWaitsForInitWaitOfAVifThatWasMoved) {
  view_.moved = true;
  EXPECT_EQ(step(), BusStep::advertise);
  view_.frontend = BusState::connected;
  EXPECT_EQ(step(), BusStep::connect);
}

TEST_F(HandshakeTest, DetachIsXlThenTheFrontendThenUs) {
  connect();
  view_.backend = BusState::closing;
  view_.online = false;
  EXPECT_EQ(step(), BusStep::nothing) << "the front-end closes first";
  view_.frontend = BusState::closed;
  EXPECT_EQ(step(), BusStep::close);
  EXPECT_EQ(step(), BusStep::nothing) << "xl is to see state 6";
  now_ = *handshake_.wakes_at();
  EXPECT_EQ(step(), BusStep::remove);
}

TEST_F(HandshakeTest, ADeviceMadeAnewInTheDirectoryOfAClosedOneIsServed) {
  connect();
  view_.backend = BusState::closing;
  view_.online = false;
  view_.frontend = BusState::closed;
  ASSERT_EQ(step(), BusStep::close);
  view_ = {.present = true,
           .backend = BusState::initialising,
           .frontend = BusState::initialising,
           .online = true};
  connect();
  EXPECT_TRUE(handshake_.connected());
}

TEST_F(HandshakeTest, ADestroyedGuestCannotClose) {
  connect();
  view_.online = false;
  view_.backend = BusState::closing;
  view_.frontend = BusState::unknown;  // xl removed its directory
  EXPECT_EQ(step(), BusStep::close);
  EXPECT_FALSE(handshake_.connected());
}

TEST_F(HandshakeTest, AnInterfaceThatCloses) {
  connect();
  view_.frontend = BusState::closing;
  EXPECT_EQ(step(), BusStep::disconnect);
  view_.frontend = BusState::closed;
  EXPECT_EQ(step(), BusStep::close);
  EXPECT_EQ(step(), BusStep::nothing) << "still online: it may come back";
  view_.frontend = BusState::initialising;
  EXPECT_EQ(step(), BusStep::advertise);
  view_.frontend = BusState::connected;
  now_ += Handshake::kInitWaitDwellNs;
  EXPECT_EQ(step(), BusStep::connect);
}

TEST_F(HandshakeTest, AGuestThatBootsAnewWithoutGoodBye) {
  connect();
  view_.frontend = BusState::initialising;
  EXPECT_EQ(step(), BusStep::close);
  EXPECT_EQ(step(), BusStep::advertise);
}

TEST_F(HandshakeTest, AnHeirTakesOverAndWritesNothing) {
  view_.backend = BusState::connected;
  view_.frontend = BusState::connected;
  EXPECT_EQ(step(), BusStep::adopt);
  EXPECT_TRUE(handshake_.connected());
  EXPECT_EQ(step(), BusStep::nothing);
}

TEST_F(HandshakeTest, AnHeirSeesThatTheGuestWentMeanwhile) {
  view_.backend = BusState::connected;
  view_.frontend = BusState::closed;
  EXPECT_EQ(step(), BusStep::adopt);
  EXPECT_EQ(step(), BusStep::close);
}

TEST_F(HandshakeTest, AnHeirFinishesARemoval) {
  for (const BusState backend : {BusState::closing, BusState::closed}) {
    handshake_ = {};
    view_ = {.present = true, .backend = backend, .frontend = BusState::closed, .online = false};
    EXPECT_EQ(step(), BusStep::close);
    EXPECT_EQ(step(), BusStep::nothing);
    now_ += Handshake::kClosedDwellNs;
    EXPECT_EQ(step(), BusStep::remove);
  }
}

TEST_F(HandshakeTest, TheHostileStayClosedUntilRemoved) {
  connect();
  handshake_.failed();
  EXPECT_EQ(step(), BusStep::close);
  view_.frontend = BusState::initialising;
  EXPECT_EQ(step(), BusStep::nothing) << "no second chance";
  now_ += Handshake::kClosedDwellNs;
  view_.online = false;
  EXPECT_EQ(step(), BusStep::nothing) << "closed for long, but xl looks only now";
  now_ = *handshake_.wakes_at();
  EXPECT_EQ(step(), BusStep::remove);
}

TEST_F(HandshakeTest, GoneIsForgotten) {
  connect();
  view_.present = false;
  EXPECT_EQ(step(), BusStep::forget);
}

TEST(VifRecordTest, KeepsWhatWasAgreedAndBelievesNothingTorn) {
  const VifSettings settings{.domid = 7,
                             .handle = 2,
                             .mac = {0, 22, 62, 1, 2, 3},
                             .rate = RateLimit{62'500, 50'000},
                             .only_own = true,
                             .ipv4 = {1, 2, 3, 4, 5},
                             .scatter_gather = true,
                             .abilities = {true, false, true, false}};
  VifRecord record = record_of(settings, 2, 3);
  ASSERT_TRUE(believable(record));
  const VifSettings back = settings_of(record);
  EXPECT_EQ(back.domid, 7);
  EXPECT_EQ(back.handle, 2);
  EXPECT_EQ(back.mac, settings.mac);
  EXPECT_EQ(back.rate, settings.rate);
  EXPECT_TRUE(back.only_own);
  EXPECT_EQ(back.ipv4.size(), 4u);
  EXPECT_TRUE(back.abilities.checksum_v4 && !back.abilities.checksum_v6);
  EXPECT_TRUE(back.abilities.gso_v4 && !back.abilities.gso_v6 && back.scatter_gather);
  for (std::size_t byte = 0; byte < sizeof record; ++byte) {
    VifRecord torn = record;
    reinterpret_cast<std::uint8_t*>(&torn)[byte] ^= 0x10;
    EXPECT_FALSE(believable(torn)) << byte;
  }
  EXPECT_FALSE(believable(VifRecord{}));
}

}  // namespace
}  // namespace ppvmm::net
