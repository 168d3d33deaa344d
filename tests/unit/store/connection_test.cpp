// Bytes in, bytes out: messages in pieces, broken clients, what the shell is told.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/machine_client.hpp"

namespace ppvmm::test {
namespace {

std::string message(MessageType type, std::string_view payload, std::uint32_t id = 1) {
  const MessageHeader header{.type = type,
                             .request_id = id,
                             .transaction_id = 0,
                             .length = static_cast<std::uint32_t>(payload.size())};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes += payload;
  return bytes;
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string unsent(const Machine& machine, ConnId connection) {
  const auto bytes = machine.to_send(connection);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Connection, RequestsMayComeInAnyPieces) {
  const std::string requests = message(MessageType::write, strings({"/a"}) + "value", 1) +
                               message(MessageType::read, strings({"/a"}), 2) +
                               message(MessageType::read, "", 3);
  World whole;
  EXPECT_EQ(whole.machine.receive(whole.dom0.connection(), bytes_of(requests)), requests.size());
  const std::string expected = unsent(whole.machine, whole.dom0.connection());
  for (std::size_t piece = 1; piece < requests.size(); ++piece) {
    World world;
    for (std::size_t at = 0; at < requests.size(); at += piece) {
      const std::string part = requests.substr(at, piece);
      ASSERT_EQ(world.machine.receive(world.dom0.connection(), bytes_of(part)), part.size());
    }
    ASSERT_EQ(unsent(world.machine, world.dom0.connection()), expected) << "pieces of " << piece;
  }
}

TEST(Connection, AnswersMayLeaveInAnyPieces) {
  World world;
  const std::string requests =
      message(MessageType::read, strings({"/tool"})) + message(MessageType::read, strings({"/x"}));
  (void)world.machine.receive(world.dom0.connection(), bytes_of(requests));
  std::string expected = unsent(world.machine, world.dom0.connection());
  while (!expected.empty()) {
    ASSERT_EQ(unsent(world.machine, world.dom0.connection()), expected);
    world.machine.sent(world.dom0.connection(), 1);
    expected.erase(0, 1);
  }
  EXPECT_TRUE(world.machine.to_send(world.dom0.connection()).empty());
}

TEST(Connection, AnOverlongPayloadBreaksOnlyItsSender) {
  World world;
  MachineClient guest = world.create_guest(5);
  (void)world.machine.take_ready();
  std::string bad = message(MessageType::read, "");
  const std::uint32_t length = 4097;
  std::memcpy(bad.data() + 12, &length, sizeof(length));
  (void)world.machine.receive(guest.connection(), bytes_of(bad));
  EXPECT_TRUE(world.machine.broken(guest.connection()));
  const auto ready = world.machine.take_ready();
  EXPECT_EQ(std::vector(ready.begin(), ready.end()), std::vector{guest.connection()});
  EXPECT_EQ(guest.read("/"), failure("no answer"));
  EXPECT_EQ(world.dom0.read("/tool"), Result(""));
  EXPECT_EQ(world.dom0.is_introduced(5), Result("T")) << "it is still there until it dies";
  world.machine.reconnect(5);
  EXPECT_FALSE(world.machine.broken(guest.connection()));
  EXPECT_EQ(world.guest(5).read("/local/domain/5"), Result(""));
}

TEST(Connection, TheLongestPayloadIsServed) {
  World world;
  const std::string value(store::kPayloadMax - 3, 'v');
  EXPECT_EQ(world.dom0.write("/a", value), kOk);
  EXPECT_EQ(world.dom0.read("/a"), Result(value));
}

TEST(Connection, DeadOnesAreHarmless) {
  World world;
  MachineClient client = world.connect();
  EXPECT_NE(client.start(), 0U);
  world.machine.disconnect(client.connection());
  const std::string request = message(MessageType::read, strings({"/"}));
  EXPECT_EQ(world.machine.receive(client.connection(), bytes_of(request)), 0U);
  EXPECT_TRUE(world.machine.to_send(client.connection()).empty());
  world.machine.sent(client.connection(), 10);
  world.machine.disconnect(client.connection());
  world.machine.disconnect(ConnId{12345});
  EXPECT_FALSE(world.machine.broken(client.connection()));
  EXPECT_EQ(world.dom0.control({"check"}), Result("OK"));
  const auto guest = world.introduce(5).connection();
  world.machine.disconnect(guest);
  EXPECT_TRUE(world.machine.connection_of(5)) << "only sockets are disconnected";
}

TEST(Connection, ASocketClientThatNeverReadsIsNotReadFrom) {
  World world;
  EXPECT_EQ(world.dom0.write("/big", std::string(4000, 'x')), kOk);
  MachineClient client = world.connect();
  const std::string request = message(MessageType::read, strings({"/big"}));
  std::size_t accepted = 0;
  while (world.machine.receive(client.connection(), bytes_of(request)) > 0)
    ++accepted;
  EXPECT_GT(accepted, 100U);
  EXPECT_LT(accepted, 1000U);
  (void)world.machine.take_ready();
  world.machine.sent(client.connection(), world.machine.to_send(client.connection()).size());
  EXPECT_EQ(world.machine.take_ready().size(), 1U);
  EXPECT_EQ(world.machine.receive(client.connection(), bytes_of(request)), request.size());
}

TEST(Connection, TheSameEventsGiveTheSameBytes) {
  const auto run = [] {
    World world;
    MachineClient guest = world.create_guest(5);
    std::string out;
    for (int i = 0; i < 50; ++i) {
      (void)guest.watch("n" + std::to_string(i % 7), "t");
      (void)guest.write("n" + std::to_string(i % 9), std::to_string(i));
      const auto tx = world.dom0.start();
      (void)world.dom0.directory("/local/domain/5", tx);
      (void)world.dom0.write("/local/domain/5/tx", std::to_string(i), tx);
      (void)world.dom0.commit(tx);
      out += unsent(world.machine, guest.connection());
      (void)guest.events();
    }
    return out + std::to_string(world.machine.tree_digest());
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace ppvmm::test
