// What the server does beside serving: idle checks, backups, and what root is told and orders.
#include <utility>

#include "kernel/console.hpp"
#include "kernel/panic.hpp"
#include "uk/xenstore/notices.hpp"
#include "uk/xenstore/server.hpp"

namespace ppvmm::xenstore {

namespace {

/// What we doubted when this life ended, for the next.
constexpr std::uint32_t kDoubtTag = 1;

bool pass_on(const replication::Primary::Doubt& doubt) {
  const abi::Survivor entry{.kind = abi::SurvivorKind::value,
                            .domid = doubt.domid,
                            .tag = kDoubtTag,
                            .id = 0,
                            .peer = 0,
                            .where = doubt.at,
                            .sum = 0};
  return kernel::vitals::survivors().replace(entry) || kernel::vitals::survivors().add(entry);
}

}  // namespace

void Server::idle_checks() {
  constexpr std::uint32_t kWarmPages = 16;
  for (RemoteRegion& region : regions_)
    region.warm_up(settings_.geometry, kWarmPages);
  primary_.scrub(settings_.scrub_nodes);
  end_if_corrupt();
  compare_replicas();
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    if (std::exchange(wants_refill_[i], false) && !primary_.set().is_member(i)) refill(i);
  }
}

void Server::compare_replicas() {
  const replication::Vote vote = primary_.compare();
  if (vote.verdict == replication::Verdict::no_majority) {
    if (!std::exchange(disagreement_told_, true)) post(Notice::no_majority);
    return;
  }
  disagreement_told_ = false;
  if (vote.verdict != replication::Verdict::one_odd) return;
  post(Notice::odd_one_out, vote.odd);
  if (vote.odd == 0) {
    kernel::panic("both backups have another tree than we", abi::FaultKind::corruption);
  }
  kernel::log(kernel::Level::error, "backup ", vote.odd - 1, " has another tree than we: refilled");
  refill(vote.odd - 1);
}

void Server::refill(std::size_t index) {
  if (!regions_[index].is_open()) return;
  primary_.attach_region(index, regions_[index].memory());
  filling_ = true;
}

void Server::pass_on_reports() {
  for (const replication::Report& report : primary_.take_reports()) {
    using Kind = replication::Report::Kind;
    const bool about_domain = report.kind == Kind::connection_failed;
    if (const auto notice = notice_of(report.kind)) {
      post(*notice, about_domain ? report.value : report.backup, report.value);
    }
    // Its memory was overwritten; with what we write it is as good as ever.
    if (report.kind == Kind::backup_damaged) wants_refill_[report.backup] = true;
  }
}

void Server::recall_doubt() {
  const auto entry = kernel::vitals::survivors().find(abi::SurvivorKind::value, kDoubtTag);
  if (entry) primary_.seen_before({entry->domid, entry->where});
}

void Server::end_if_corrupt() const {
  if (!primary_.corrupt()) return;
  if (const auto doubt = primary_.doubt(); doubt && pass_on(*doubt)) {
    kernel::panic("a client seems to break the protocol: the next life looks again",
                  abi::FaultKind::corruption);
  }
  kernel::panic("a node of the tree is not what was stored", abi::FaultKind::corruption);
}

std::uint32_t Server::on_command(void* server, const abi::Command& command) {
  using abi::xenstore_set::Command;
  using abi::xenstore_set::Result;
  auto& self = *static_cast<Server*>(server);
  Result result = Result::unknown;
  switch (static_cast<Command>(command.kind)) {
    case Command::none:
      break;
    case Command::detach:
      if (command.subject >= self.regions_.size()) {
        result = Result::no_such_backup;
        break;
      }
      self.primary_.detach_region(command.subject);
      self.regions_[command.subject].close();
      self.pass_on_reports();
      result = Result::done;
      break;
    case Command::attach:
      result = self.attach_backup(command.subject);
      break;
    case Command::scrub:
      self.primary_.scrub(self.primary_.machine().statistics().nodes + 1);
      self.end_if_corrupt();
      self.compare_replicas();
      result = Result::done;
      break;
  }
  return static_cast<std::uint32_t>(result);
}

abi::xenstore_set::Result Server::attach_backup(std::size_t index) {
  using abi::xenstore_set::Result;
  if (index >= regions_.size() || !settings_.backups[index]) return Result::no_such_backup;
  if (regions_[index].is_open() && primary_.set().is_member(index)) return Result::done;
  regions_[index].open(index, *settings_.backups[index], settings_.geometry);
  if (!regions_[index].begin(settings_.geometry)) {
    primary_.detach_region(index);
    regions_[index].close();
    return Result::not_granted;
  }
  refill(index);
  work_.announce();
  return Result::done;
}

}  // namespace ppvmm::xenstore
