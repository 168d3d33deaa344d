/// A set on its feet, for tests of what recovery makes of it.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "../memory.hpp"
#include "replication/backup.hpp"
#include "replication/primary.hpp"
#include "replication/recovery.hpp"
#include "store/ring.hpp"
#include "support/message.hpp"

namespace ppvmm::replication {

using store::MessageType;
using test::kSmall;

inline constexpr std::uint64_t kKey = 77;

/// A primary with two backups and domain 0 on its ring.
class RecoveryTest : public ::testing::Test {
 protected:
  std::array<test::Memory, kBackups> memories_{test::region_memory(), test::region_memory()};
  test::Memory page_{4096};
  store::ClientRing client_{*reinterpret_cast<store::RingPage*>(page_.bytes().data())};
  std::optional<Primary> primary_;
  std::array<std::optional<Backup>, kBackups> backups_;
  std::uint32_t next_id_{1};
  std::uint64_t now_ms_{1};

  RecoveryTest() {
    primary_.emplace(
        Restored{Replica{store::Machine{store::Options{}}, Ledger{kSmall.slots}, 0}, {}},
        ReplicaSet{}, PrimaryOptions{.geometry = kSmall, .key = kKey});
    for (std::size_t i = 0; i < kBackups; ++i)
      primary_->attach_region(i, memories_[i].shared());
    settle();
    EXPECT_TRUE(primary_->connect(0, 1, 1, page_.shared()));
    EXPECT_EQ(primary_->set().members(), 2u);
    static_cast<void>(primary_->take_reports());
    open_backups();
  }

  void settle() {
    while (primary_->maintain(1 << 20)) {
    }
  }
  void open_backups() {
    for (std::size_t i = 0; i < kBackups; ++i) {
      auto opened = Backup::open(*Region::open(memories_[i].shared()), store::Options{},
                                 CheckpointPolicy{.min_records = 8, .nodes_per_record = 1 << 20});
      ASSERT_TRUE(opened);
      backups_[i].emplace(std::move(*opened));
    }
  }
  /// Domain 0 writes; true if the answer came.
  bool write(const std::string& path, const std::string& value) {
    const auto bytes = test::encode(MessageType::write, next_id_++, 0, path + '\0' + value);
    EXPECT_EQ(client_.requests.write(bytes), bytes.size());
    primary_->kick(0);
    return serve();
  }
  bool serve() {
    static_cast<void>(primary_->advance(++now_ms_));
    static_cast<void>(primary_->run(100));
    test::Bytes answer(256);
    const auto count = client_.responses.peek(answer);
    client_.responses.consume(*count);
    return *count == 16 + 3;
  }
  void follow(std::size_t i) {
    const auto progress = backups_[i]->step(1000);
    EXPECT_EQ(progress.state, BackupState::following);
  }
  [[nodiscard]] auto recovered(bool first = true, bool second = true) {
    return recover({first ? memories_[0].shared() : SharedMemory{},
                    second ? memories_[1].shared() : SharedMemory{}},
                   {});
  }
  [[nodiscard]] std::uint64_t digest() { return primary_->machine().tree_digest(); }
  [[nodiscard]] static std::uint64_t digest(Recovery& recovery) {
    return recovery.state.replica.machine().tree_digest();
  }
};

}  // namespace ppvmm::replication
