#include "uk/xenstore/follower.hpp"

#include <algorithm>
#include <utility>

#include "abi/xenstore_set.hpp"
#include "kernel/console.hpp"
#include "kernel/grants.hpp"
#include "kernel/memory.hpp"
#include "kernel/panic.hpp"
#include "kernel/time.hpp"
#include "uk/xenstore/log.hpp"
#include "uk/xenstore/notices.hpp"

namespace ppvmm::xenstore {
namespace {

constexpr std::uint32_t kRegionTag = 0x52454749;
constexpr std::size_t kPage = 4096;
/// Records applied between two looks at events.
constexpr std::uint64_t kBudget = 256;
/// How often it looks: at the latest kSlow after something happened, and kFast while much does.
constexpr kernel::Nanoseconds kFast = 8 * kernel::time::kMillisecond;
constexpr kernel::Nanoseconds kSlow = 32 * kernel::time::kMillisecond;

std::byte* take_region(const Settings& settings, std::size_t pages) {
  std::byte* const region = kernel::memory::take_pages(pages);
  if (region == nullptr) kernel::panic("not enough memory for the region: area_kib= is too large");
  // What an earlier owner of this memory left must not pass for a region.
  std::fill_n(region, replication::log_offset(settings.geometry), std::byte{});
  if (!kernel::memory::survive(region, kRegionTag)) kernel::panic("the region cannot be kept");
  const auto granted = kernel::grants::grant_run(kRegionTag, settings.primary, region,
                                                 static_cast<std::uint32_t>(pages),
                                                 abi::xenstore_set::kRegionGrants);
  if (!granted) kernel::panic("the region cannot be granted: too few grant frames for area_kib=");
  return region;
}

}  // namespace

Follower::Follower(const Settings& settings, store::Options options, bool reborn)
    : settings_(settings),
      options_(std::move(options)),
      component_(kernel::vitals::component("backup")) {
  const std::size_t pages = (replication::region_bytes(settings.geometry) + kPage - 1) / kPage;
  std::byte* region = reborn ? kernel::memory::survived(kRegionTag) : nullptr;
  if (reborn && region == nullptr) kernel::panic("reborn without a region");
  if (region == nullptr) region = take_region(settings, pages);
  memory_ = {region, pages * kPage};
}

kernel::task::Task<> Follower::follow() {
  kernel::Nanoseconds pace = kFast;
  while (true) {
    if (look()) {
      pace = kFast;
      co_await kernel::task::Reschedule{};
      continue;
    }
    if (pace == kSlow && backup_) backup_->rest();
    scrub();
    co_await kernel::task::Sleep{kernel::time::timers(), kernel::time::now() + pace};
    pace = std::min(2 * pace, kSlow);
  }
}

bool Follower::look() {
  kernel::vitals::progress(component_);
  if (!backup_) {
    try_to_open();
    return backup_.has_value();
  }
  const auto progress = backup_->step(kBudget);
  // The primary's machine says the same, and it has the console that people read.
  (void)backup_->take_log();
  switch (progress.state) {
    case replication::BackupState::following:
      return progress.applied > 0;
    case replication::BackupState::left:
      backup_.reset();
      return false;
    case replication::BackupState::damaged:
      kernel::log(kernel::Level::error, "the log is not what was written: waiting to be filled");
      post(Notice::backup_wrong);
      backup_.reset();
      told_wrong_ = true;
      return false;
    case replication::BackupState::misapplied:
    case replication::BackupState::corrupt:
      kernel::panic("this replica's state is wrong", abi::FaultKind::corruption);
  }
  return false;
}

void Follower::try_to_open() {
  auto region = replication::Region::open(replication::SharedMemory{memory_});
  if (!region) return;
  auto backup = replication::Backup::open(std::move(*region), options_, {});
  if (!backup) {
    // Being filled, most often. A member's region without an intact checkpoint is another thing.
    if (backup.error() == replication::CheckpointError::malformed && !told_wrong_) {
      post(Notice::backup_wrong);
      told_wrong_ = true;
    }
    return;
  }
  backup_.emplace(std::move(*backup));
  told_wrong_ = false;
  post(Notice::following, 0, backup_->tail().sequence);
}

void Follower::scrub() {
  const kernel::Nanoseconds now = kernel::time::now();
  if (!backup_ || now - scrubbed_ns_ < settings_.scrub_ms * kernel::time::kMillisecond) return;
  scrubbed_ns_ = now;
  if (!backup_->scrub_tree(settings_.scrub_nodes)) {
    kernel::panic("a node of the tree is not what was stored", abi::FaultKind::corruption);
  }
  if (!backup_->scrub(settings_.scrub_kib * 1024)) {
    kernel::log(kernel::Level::warning, "something in the region had rotted, and was written anew");
    post(Notice::rotted);
  }
}

}  // namespace ppvmm::xenstore
