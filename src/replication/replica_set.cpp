#include "replication/replica_set.hpp"

#include <algorithm>
#include <utility>

namespace ppvmm::replication {

std::size_t ReplicaSet::members() const {
  return static_cast<std::size_t>(
      std::count_if(links_.begin(), links_.end(), [](const Link& link) { return link.member; }));
}

Region* ReplicaSet::region(std::size_t backup) {
  auto& region = links_[backup].region;
  return region ? &*region : nullptr;
}

const Region* ReplicaSet::region(std::size_t backup) const {
  const auto& region = links_[backup].region;
  return region ? &*region : nullptr;
}

void ReplicaSet::adopt(std::size_t backup, Region region) {
  links_[backup] = Link{.region = std::move(region), .member = true};
}

void ReplicaSet::add(std::size_t backup, Region region) {
  links_[backup] = Link{.region = std::move(region), .member = false};
}

void ReplicaSet::raise_configuration() {
  ++configuration_;
  for (Link& link : links_) {
    if (link.member) link.region->set_membership({configuration_, Membership::State::member});
  }
}

void ReplicaSet::join(std::size_t backup) {
  links_[backup].member = true;
  raise_configuration();
  report({Report::Kind::backup_joined, backup, configuration_});
}

void ReplicaSet::drop(std::size_t backup, Report::Kind why) {
  Link& link = links_[backup];
  if (!link.region) return;
  const bool was_member = std::exchange(link.member, false);
  if (was_member) raise_configuration();
  link.region->set_membership({configuration_, Membership::State::dropped});
  report({why, backup, 0});
  if (was_member && members() == 0) report({Report::Kind::alone, backup, 0});
}

void ReplicaSet::remove(std::size_t backup) {
  const bool was_member = links_[backup].member;
  links_[backup] = Link{};
  if (!was_member) return;
  raise_configuration();
  report({Report::Kind::backup_lost, backup, 0});
  if (members() == 0) report({Report::Kind::alone, backup, 0});
}

std::optional<std::size_t> ReplicaSet::blocked(const LogTail& tail, std::uint64_t size) {
  for (std::size_t i = 0; i < kBackups; ++i) {
    if (!links_[i].member) continue;
    const Region& region = *links_[i].region;
    const auto released = links_[i].released.read(region.key(), kReleasedOffset,
                                                  region.memory().load64(kReleasedOffset));
    const auto room = has_room(region.geometry(), released, tail, size);
    if (!room) {
      drop(i, Report::Kind::backup_damaged);
    } else if (!*room) {
      return i;
    }
  }
  return std::nullopt;
}

template <class Make, class Store>
void ReplicaSet::for_members(Make make, Store store) {
  std::optional<std::uint64_t> key;
  decltype(make(std::uint64_t{})) made{};
  for (Link& link : links_) {
    if (!link.member) continue;
    if (key != link.region->key()) {
      key = link.region->key();
      made = make(*key);
    }
    store(*link.region, made);
  }
}

void ReplicaSet::append(const LogTail& tail, std::span<const std::byte> record) {
  for_members([&](std::uint64_t key) { return seal(key, kAppendedOffset, tail.sequence + 1); },
              [&](Region& region, std::uint64_t appended) {
                replication::append(region, tail, record, appended);
              });
}

void ReplicaSet::intend(std::uint32_t slot, const Intent& intent) {
  for_members([&](std::uint64_t key) { return words_of(intent, key); },
              [&](Region& region, const IntentWords& words) { region.put_intent(slot, words); });
}

std::vector<Report> ReplicaSet::take_reports() {
  return std::exchange(reports_, {});
}

}  // namespace ppvmm::replication
