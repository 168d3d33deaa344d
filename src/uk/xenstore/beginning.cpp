#include "uk/xenstore/beginning.hpp"

#include <utility>

#include "kernel/console.hpp"
#include "kernel/panic.hpp"
#include "kernel/vitals.hpp"
#include "uk/xenstore/notices.hpp"

namespace ppvmm::xenstore {
namespace {

using replication::kBackups;
using replication::Standing;

std::array<replication::SharedMemory, kBackups> open_all(const Settings& settings,
                                                         RemoteRegions& regions) {
  std::array<replication::SharedMemory, kBackups> memories;
  for (std::size_t i = 0; i < kBackups; ++i) {
    if (!settings.backups[i]) continue;
    regions[i].open(i, *settings.backups[i], settings.geometry);
    if (regions[i].begin(settings.geometry)) {
      memories[i] = regions[i].memory();
    } else {
      kernel::log(kernel::Level::warning, "backup ", i, " grants no region");
      regions[i].close();
    }
  }
  return memories;
}

Beginning empty_store(const store::Options& options, const Settings& settings,
                      const RemoteRegions& regions) {
  Beginning result{.state = {replication::Replica{store::Machine(options),
                                                  replication::Ledger{settings.geometry.slots}, 0},
                             replication::LogTail{}},
                   .set = replication::ReplicaSet{},
                   .empty = true,
                   .stale = false,
                   .to_fill = {}};
  for (std::size_t i = 0; i < kBackups; ++i)
    result.to_fill[i] = regions[i].is_open();
  return result;
}

}  // namespace

Beginning begin_life(const Settings& settings, const store::Options& options, bool later_life,
                     RemoteRegions& regions) {
  const auto memories = open_all(settings, regions);
  kernel::vitals::lap("regions");
  auto recovery = replication::recover(memories, options);
  if (!recovery) {
    if (recovery.error() == replication::RecoveryError::nothing_there && !later_life) {
      return empty_store(options, settings, regions);
    }
    post(Notice::all_lost);
    kernel::panic("the store's contents are lost: no backup has them");
  }
  post(Notice::recovered, recovery->source, recovery->replayed);
  if (recovery->stale) {
    kernel::log(kernel::Level::error,
                "no complete replica was left: what was acknowledged last may be lost");
    post(Notice::stale_state, recovery->source);
  }
  Beginning result{.state = std::move(recovery->state),
                   .set = std::move(recovery->set),
                   .empty = false,
                   .stale = recovery->stale,
                   .to_fill = {}};
  for (std::size_t i = 0; i < kBackups; ++i) {
    const Standing standing = recovery->standing[i];
    if (standing == Standing::absent || standing == Standing::complete) continue;
    result.to_fill[i] = regions[i].is_open();
    post(Notice::region_unusable, i, static_cast<std::uint64_t>(standing));
  }
  return result;
}

}  // namespace ppvmm::xenstore
