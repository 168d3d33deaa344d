#include "world.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace ppvmm::simulation {
namespace {

using replication::Backup;
using replication::Primary;
using replication::Region;
using replication::Report;
using replication::SharedMemory;

constexpr std::uint64_t kKey = 0x5EC2E7'0F'7415'5E7;
constexpr std::uint64_t kGfn = 0x1000;

store::Options options() {
  return {};
}

}  // namespace

World::World(std::uint64_t seed, const Setup& setup)
    : setup_{setup},
      random_{seed},
      backups_{BackupHost{setup.geometry}, BackupHost{setup.geometry}} {
  if (!setup.second_backup) backups_[1].running = false;
}

Guest& World::add_guest(DomId domid, std::vector<Action> script) {
  auto made = std::make_unique<Guest>(
      domid, Guest::Shared{random_, history_, complaints_, now_, increments_}, std::move(script));
  made->on_introduced = [this](DomId other) {
    if (Guest* introduced = guest(other)) introduced->start();
  };
  if (domid == 0) made->start();
  return *(guests_[domid] = std::move(made));
}

Guest* World::guest(DomId domid) {
  const auto at = guests_.find(domid);
  return at == guests_.end() ? nullptr : at->second.get();
}

SharedMemory World::ring(DomId domid) {
  Guest* found = guest(domid);
  return found == nullptr ? SharedMemory{} : found->page().shared(&primary_journal_);
}

std::uint64_t World::steps() const {
  return primary_steps() + backup_steps(0) + backup_steps(1);
}

void World::note(const std::string& what) const {
  if (trace) std::printf("%8llu %s\n", static_cast<unsigned long long>(now_), what.c_str());
}

// --- Faults

void World::kill_primary() {
  if (primary_) primary_died();
}

void World::primary_died() {
  note("the primary dies");
  primary_.reset();
  effects_.clear();
  deaths_.clear();
  back_in_ = random_.below(setup_.downtime + 1);
}

void World::kill_backup(std::size_t i, Loss what) {
  note("backup " + std::to_string(i) + " dies" + (what == Loss::memory ? ", memory and all" : ""));
  BackupHost& host = backups_[i];
  host.backup.reset();
  host.running = false;
  host.back_in = random_.below(setup_.downtime + 1);
  if (what == Loss::state) return;
  // Root takes the memory away before it builds the domain again.
  if (primary_ && !operate([&] { primary_->detach_region(i); })) primary_died();
  for (std::byte& byte : host.memory.bytes())
    byte = static_cast<std::byte>(random_.next());
}

void World::stall_backup(std::size_t i, std::size_t rounds) {
  note("backup " + std::to_string(i) + " stands still for " + std::to_string(rounds) + " rounds");
  backups_[i].stalled = rounds;
}

void World::flip(std::size_t i, std::size_t offset, unsigned bit) {
  offset %= backups_[i].memory.bytes().size();
  note("backup " + std::to_string(i) + ": a bit flips at offset " + std::to_string(offset));
  backups_[i].memory.flip(offset, bit);
}

bool World::safe_without(std::size_t i) {
  const std::size_t other = 1 - i;
  if (!primary_ || !primary_->set().is_member(other)) return false;
  test::Memory copy = backups_[other].memory;
  std::array<SharedMemory, kBackups> only;
  only[other] = copy.shared();
  const auto found = replication::recover(only, options());
  if (!found || found->stale || found->state.tail != primary_->tail()) return false;
  // Its intents count as well: both regions must name the same newest one for every ring.
  for (const replication::Seat& seat : primary_->replica().ledger().seats()) {
    std::array<std::vector<replication::Intent>, kBackups> intents;
    for (std::size_t region = 0; region < kBackups; ++region) {
      const Region* seen = primary_->set().region(region);
      for (const std::uint64_t half : {0u, 1u}) {
        const auto intent = seen == nullptr ? std::nullopt : seen->intent(seat.slot, half);
        if (intent) intents[region].push_back(*intent);
      }
    }
    const auto theirs = replication::newest_intent(seat, intents[other]);
    const auto mine = replication::newest_intent(seat, intents[i]);
    if (mine && (!theirs || theirs->serial < mine->serial)) return false;
    if (!theirs && guest(seat.domid) != nullptr && guest(seat.domid)->answers() > 0) return false;
  }
  return true;
}

bool World::forgotten(DomId domid) {
  if (!primary_ || guest(domid) != nullptr || !deaths_.empty()) return false;
  const auto known = primary_->machine().known_domains();
  return !std::binary_search(known.begin(), known.end(), domid);
}

std::uint64_t World::answers() const {
  std::uint64_t sum = 0;
  for (const auto& [domid, one] : guests_)
    sum += one->answers();
  for (const auto& one : dead_guests_)
    sum += one->answers();
  return sum;
}

void World::kill_guest(DomId domid) {
  const auto at = guests_.find(domid);
  if (at == guests_.end() || domid == 0) return;
  if (at->second->in_sequence()) ++unanswered_increments_;
  dead_guests_.push_back(std::move(at->second));
  guests_.erase(at);
  deaths_.push_back(domid);
}

// --- Rounds

bool World::operate(const std::function<void()>& operation) {
  if (primary_journal_.survive(operation)) return true;
  primary_died();
  return false;
}

void World::round() {
  ++now_;
  turn_of_guests();
  turn_of_primary();
  for (std::size_t i = 0; i < kBackups; ++i)
    turn_of_backup(i);
}

void World::turn_of_guests() {
  for (const auto& [domid, one] : guests_) {
    ++now_;
    if (one->step() && primary_) primary_->kick(domid);
  }
}

void World::birth() {
  if (back_in_ > 0) {
    --back_in_;
    return;
  }
  std::optional<replication::Recovery> found;
  auto error = replication::RecoveryError::nothing_there;
  const bool alive = primary_journal_.survive([&] {
    auto result = replication::recover({backups_[0].memory.shared(&primary_journal_),
                                        backups_[1].memory.shared(&primary_journal_)},
                                       options());
    if (result) {
      found.emplace(std::move(*result));
    } else {
      error = result.error();
    }
  });
  if (!alive) return primary_died();
  const replication::PrimaryOptions primary_options{
      .geometry = setup_.geometry, .key = kKey, .stuck_after_ms = setup_.stuck_after_ms};
  if (found) {
    note("the primary is reborn at record " + std::to_string(found->state.tail.sequence) +
         "; regions: " + std::to_string(static_cast<int>(found->standing[0])) + " and " +
         std::to_string(static_cast<int>(found->standing[1])) + " (replication::Standing)");
    ++rebirths;
    replayed += found->replayed;
    if (found->stale) return lost("a state was lost although a member should have it");
    const auto standing = found->standing;
    primary_.emplace(std::move(found->state), std::move(found->set), primary_options);
    for (std::size_t i = 0; i < kBackups && primary_; ++i) {
      if (standing[i] != replication::Standing::complete && backups_[i].running) rebuild_backup(i);
    }
  } else {
    if (ever_born_) return lost("every copy of the state was lost");
    if (error == replication::RecoveryError::all_lost) return complaints_.add("lost at the start");
    primary_.emplace(
        replication::Restored{replication::Replica{store::Machine{options()},
                                                   replication::Ledger{setup_.geometry.slots}, 0},
                              {}},
        replication::ReplicaSet{}, primary_options);
    for (std::size_t i = 0; i < kBackups && primary_; ++i) {
      if (backups_[i].running) rebuild_backup(i);
    }
    // Service begins when there is somebody to remember it.
    while (primary_ && operate([&] { primary_->maintain(1 << 20); })) {
      if (primary_->set().members() > 0) break;
    }
  }
  if (!primary_) return;
  const std::vector<replication::Seat> seats{primary_->replica().ledger().seats().begin(),
                                             primary_->replica().ledger().seats().end()};
  for (const auto& seat : seats) {
    const SharedMemory page = ring(seat.domid);
    if (page.empty()) continue;  // died meanwhile
    if (!operate([&] { primary_->adopt(seat.domid, page); })) return;
  }
  if (primary_->replica().ledger().seats().empty()) {
    bool told = false;
    if (!operate([&] { told = primary_->connect(0, kGfn, 1, ring(0)); })) return;
    if (!told) complaints_.add("no room in an empty log");
  }
  if (!std::exchange(ever_born_, true)) service_began = primary_steps();
  // Who died while nobody listened?
  for (const DomId domid : primary_->machine().known_domains()) {
    if (guest(domid) == nullptr) deaths_.push_back(domid);
  }
}

void World::turn_of_primary() {
  if (!primary_) birth();
  if (!primary_) return;
  bool told = false;
  if (!operate([&] { told = primary_->advance(now_ / 8); })) return;
  auto ended = Primary::Run::more;
  const bool all = random_.chance(10);
  if (!operate([&] {
        if (all) primary_->kick_all();
        ended = primary_->run(all ? 1000 : 1 + random_.below(8));
      })) {
    return;
  }
  if (all && ended == Primary::Run::idle && primary_->neglects()) {
    complaints_.add("a ring was passed over");
  }
  for (const store::Effect& effect : primary_->take_effects())
    effects_.push_back(effect);
  static_cast<void>(primary_->take_notifications());  // guests look every round
  tell_facts();
  if (!primary_) return;
  if (!operate([&] { primary_->maintain(1 + random_.below(4096)); })) return;
  listen_to_reports();
  if (!primary_) return;
  const auto vote = primary_->compare();
  if (vote.verdict == replication::Verdict::one_odd ||
      vote.verdict == replication::Verdict::no_majority) {
    complaints_.add("replicas differ; odd is " + std::to_string(vote.odd));
  }
}

void World::tell_facts() {
  while (primary_ && !effects_.empty()) {
    const store::Effect effect = effects_.front();
    bool told = true;
    if (effect.kind == store::Effect::Kind::attach_domain) {
      const SharedMemory page = ring(effect.domid);
      const bool good = !page.empty() && effect.gfn == kGfn;
      const auto result =
          good ? store::IntroduceResult::attached : store::IntroduceResult::bad_ring;
      if (!operate([&] { told = primary_->introduced(effect.domid, result, page); })) return;
    }
    if (!told) return;  // the log is full: again next time
    effects_.pop_front();
  }
  while (primary_ && !deaths_.empty()) {
    bool told = false;
    if (!operate([&] { told = primary_->domain_dead(deaths_.front()); })) return;
    if (!told) return;
    deaths_.pop_front();
  }
}

void World::rebuild_backup(std::size_t i) {
  backups_[i].backup.reset();
  const auto memory = backups_[i].memory.shared(&primary_journal_);
  if (!operate([&] { primary_->attach_region(i, memory); })) return;
}

void World::listen_to_reports() {
  for (const Report& report : primary_->take_reports()) {
    note("report " + std::to_string(static_cast<int>(report.kind)) + " on backup " +
         std::to_string(report.backup));
    switch (report.kind) {
      case Report::Kind::backup_stuck:
      case Report::Kind::backup_damaged:
        ++dropped_backups;
        end_damaged(report.backup);
        break;
      case Report::Kind::backup_joined:
        ++refills;
        break;
      case Report::Kind::refill_restarted:
        ++restarted_refills;
        break;
      case Report::Kind::alone:
        ++alone;
        break;
      case Report::Kind::backup_lost:
        break;
      case Report::Kind::refill_failed:
        complaints_.add("a refill failed with " + std::to_string(report.value));
        break;
      case Report::Kind::connection_failed:
        complaints_.add("the connection of domain " + std::to_string(report.value) + " failed");
        break;
    }
    if (!primary_) return;
  }
}

void World::end_damaged(std::size_t i) {
  // Root builds it again. If the other region has rotted unseen, that was one fault too many.
  if (!safe_without(i)) last_copy_at_risk_ = true;
  kill_backup(i, Loss::memory);
}

void World::lost(const std::string& what) {
  note(what);
  if (last_copy_at_risk_) beyond_promise = true;
  complaints_.add(what);
}

void World::turn_of_backup(std::size_t i) {
  BackupHost& host = backups_[i];
  if (!host.running) {
    if (host.back_in > 0) {
      --host.back_in;
      return;
    }
    if (i == 1 && !setup_.second_backup) return;
    host.running = true;
    // In place, its region is still the primary's to write to; otherwise root hands over new
    // memory.
    if (primary_ && primary_->set().region(i) == nullptr) rebuild_backup(i);
  }
  if (host.stalled > 0) {
    --host.stalled;
    return;
  }
  bool damaged = false;
  const bool alive = host.journal.survive([&] {
    if (!host.backup) open_backup(i, damaged);
    if (!host.backup || damaged) return;
    const auto progress = host.backup->step(random_.below(12));
    switch (progress.state) {
      case replication::BackupState::following:
        break;
      case replication::BackupState::left:
        host.backup.reset();
        return;
      case replication::BackupState::damaged:
      case replication::BackupState::corrupt:
      case replication::BackupState::misapplied:
        damaged = true;
        return;
    }
    if (progress.checkpoint && !*progress.checkpoint) complaints_.add("a checkpoint failed");
    if (random_.chance(2) && !host.backup->scrub(1 + random_.below(65536))) ++rotten_checkpoints;
  });
  if (!alive) {
    kill_backup(i, loss);
  } else if (damaged) {
    ++damaged_backups;
    end_damaged(i);
  }
}

void World::open_backup(std::size_t i, bool& damaged) {
  BackupHost& host = backups_[i];
  auto region = Region::open(host.memory.shared(&host.journal));
  if (region) {
    auto opened = Backup::open(std::move(*region), options(), setup_.checkpoints);
    if (opened) host.backup.emplace(std::move(*opened));
  }
  // The primary counts on it, and it cannot even begin: root must know.
  damaged = !host.backup && primary_ && primary_->set().is_member(i);
}

}  // namespace ppvmm::simulation
