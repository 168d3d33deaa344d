/// The backup's shell: memory for the region, and a pace at which to look for news in it
/// (replication/backup.hpp). It serves nobody, and nobody waits for it.
///
/// Nobody wakes it either: a notification for each record would cost the primary as much as the
/// record. It looks by itself, often while there is news and seldom when there is none, and so
/// shows root that it lives.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "kernel/task.hpp"
#include "kernel/vitals.hpp"
#include "replication/backup.hpp"
#include "store/quota.hpp"
#include "uk/xenstore/settings.hpp"

namespace ppvmm::xenstore {

class Follower {
 public:
  /// Takes memory for the region and grants it to the primary, or finds both again in a later life.
  /// Panics when it cannot be had: a backup without a region is of no use.
  Follower(const Settings& settings, store::Options options, bool reborn);

  /// Follows for ever. To be run as a task of its own.
  [[nodiscard]] kernel::task::Task<> follow();

 private:
  /// One look. Returns whether there may be more to do at once.
  [[nodiscard]] bool look();
  void try_to_open();
  void scrub();

  const Settings& settings_;
  store::Options options_;
  std::span<std::byte> memory_;
  std::optional<replication::Backup> backup_;
  bool told_wrong_{};
  std::uint64_t scrubbed_ns_{};
  kernel::vitals::Component component_;
};

}  // namespace ppvmm::xenstore
