// The end of a run: everybody is done, and what there is must be what the clients were told.
#include <algorithm>

#include "../../support/machine_client.hpp"
#include "store/stream_format.hpp"
#include "world.hpp"

namespace ppvmm::simulation {

using replication::Verdict;

bool World::calm() {
  if (!primary_ || !effects_.empty() || !deaths_.empty()) return false;
  for (std::size_t i = 0; i < kBackups; ++i) {
    const bool wanted = i == 0 || setup_.second_backup;
    if (!wanted) continue;
    if (!backups_[i].backup || !primary_->set().is_member(i)) return false;
    if (backups_[i].backup->tail() != primary_->tail()) return false;
  }
  return std::all_of(guests_.begin(), guests_.end(),
                     [](const auto& one) { return one.second->done(); });
}

bool World::finish(std::size_t limit) {
  std::size_t calm_rounds = 0;
  while (!complaints_.any() && calm_rounds < 3) {
    if (limit-- == 0) {
      std::string text = "it never comes to rest:";
      for (const auto& [domid, one] : guests_)
        text += " " + one->describe() + ";";
      complaints_.add(text + (primary_ ? "" : " no primary"));
      break;
    }
    round();
    calm_rounds = calm() ? calm_rounds + 1 : 0;
  }
  if (beyond_promise) return true;
  for (BackupHost& host : backups_) {
    // Rot that nobody has met yet is found by scrubbing.
    if (host.backup && !host.backup->scrub(~0ULL)) ++rotten_checkpoints;
  }
  if (!complaints_.any()) examine();
  return !complaints_.any();
}

void World::examine() {
  const auto vote = primary_->compare();
  if (vote.verdict != Verdict::agreed) complaints_.add("the replicas do not agree at the end");
  for (const BackupHost& host : backups_) {
    if (!host.backup) continue;
    const auto& theirs = host.backup->replica();
    if (theirs.machine().tree_digest() != primary_->replica().machine().tree_digest()) {
      complaints_.add("a backup's tree differs");
    }
    if (theirs.ledger().seats().size() != primary_->replica().ledger().seats().size()) {
      complaints_.add("a backup knows other rings");
    }
  }
  examine_regions();
  examine_nodes();
}

void World::examine_regions() {
  // Each region alone must be enough.
  for (std::size_t i = 0; i < kBackups; ++i) {
    if (!backups_[i].backup) continue;
    std::array<replication::SharedMemory, kBackups> only;
    only[i] = backups_[i].memory.shared();
    auto found = replication::recover(only, {});
    if (!found || found->stale) {
      complaints_.add("region " + std::to_string(i) + " alone is not enough");
    } else if (found->state.replica.machine().tree_digest() !=
               primary_->replica().machine().tree_digest()) {
      complaints_.add("region " + std::to_string(i) + " alone gives another tree");
    }
  }
}

void World::examine_nodes() {
  store::Machine& machine = primary_->machine();
  // A transaction executed twice at its start would still be open.
  const auto stream = machine.dump();
  auto reader = store::stream::Reader::open(stream);
  while (reader) {
    const auto record = reader->next();
    if (!record || record->type == static_cast<std::uint32_t>(store::stream::RecordType::end)) {
      break;
    }
    if (record->type == static_cast<std::uint32_t>(store::stream::RecordType::transaction_data)) {
      complaints_.add("a transaction is open that nobody has");
    }
  }
  test::MachineClient client{machine, machine.connect_socket()};
  for (const auto& [path, count] : increments_) {
    const auto value = client.read(path);
    const std::uint64_t counted = value ? std::stoull(*value) : 0;
    if (!value || counted < count || counted > count + unanswered_increments_) {
      complaints_.add(path + " was incremented " + std::to_string(count) + " times and is " +
                      (value ? *value : std::string{"gone"}));
    }
  }
  for (const auto& [domid, one] : guests_) {
    for (const auto& [path, expected] : one->nodes()) {
      const auto value = client.read(path);
      if (!value || *value != expected) complaints_.add("at the end " + path + " is wrong");
    }
    for (const auto& [path, last_read] : one->watched()) {
      const auto value = client.read(path);
      if (!value || *value != last_read) {
        complaints_.add("domain " + std::to_string(domid) + " was not told of the last change of " +
                        path);
      }
    }
  }
}

}  // namespace ppvmm::simulation
