// Netback's probe and its repair.
#include <new>
#include <utility>

#include "kernel/console.hpp"
#include "kernel/image.hpp"
#include "kernel/memory.hpp"
#include "kernel/panic.hpp"
#include "kernel/time.hpp"
#include "uk/net/connection.hpp"
#include "uk/net/plumbing.hpp"
#include "uk/net/root_link.hpp"

namespace ppvmm::netuk {
namespace {

using abi::net_uk::Trouble;
using kernel::Level;
using kernel::log;

/// So many deaths within the window; the next one takes net_uk with it. Two at the same place are
/// one too many: what dies twice there has damaged code, and only root can put that back.
constexpr unsigned kDeathsMost = 4;
constexpr kernel::Nanoseconds kDeathsWindowNs = 100 * kernel::time::kMillisecond;
/// What a netback that is thrown away held of the heap is never given back. Below this net_uk is
/// reborn, which costs a few milliseconds.
constexpr std::uint64_t kMemoryLeast = 1u << 20;
/// Ports' generations of one netback after the other.
constexpr std::uint64_t kGenerations = 256;

}  // namespace

void Plumbing::make_path() {
  limits_.first_generation = static_cast<std::uint16_t>(statistics_.rebuilds * kGenerations);
  path_ = new (room_.data()) net::DataPath(pool(), copier_, limits_);
  if (wire_expected_) path_->expect_wire();
  // Those that nobody was seen to get: of the life before, or of the netback before.
  for (net::Frame& frame : pool().recover())
    path_->received(std::move(frame));
}

void Plumbing::on_audit(void* self) {
  static_cast<Plumbing*>(self)->audit();
}

void Plumbing::audit() {
  ++statistics_.audits;
  if (std::exchange(passes_seen_, passes_) != passes_) {
    audit_timer_.once(kernel::time::now() + kAuditNs);
  }
  net::DataPath::Audit found;
  if (!guard([&] { found = path_->audit(limits_); })) return;
  if (found.broken) {
    kernel::image::must_be_whole("damaged code broke netback");
    rebuild(Trouble::died, *found.broken);
    return;
  }
  std::vector<net::Offence> offences;
  offences.reserve(found.bad.size());
  for (const net::PortId port : found.bad)
    offences.push_back({.port = port, .reason = net::Hostile::ring_overflow});
  if (!offences.empty()) judge(offences, Accuser::audit);
  // A ring that stood still is looked at.
  wake();
}

bool Plumbing::dies_too_often(kernel::Nanoseconds now) {
  if (now - deaths_since_ > kDeathsWindowNs) {
    deaths_since_ = now;
    deaths_ = 0;
    last_rip_ = 0;
  }
  return ++deaths_ > kDeathsMost;
}

void Plumbing::died() {
  const kernel::ContainedFault& fault = kernel::last_contained_fault();
  if (dies_too_often(fault.time_ns)) kernel::panic("netback dies again and again");
  if (std::exchange(last_rip_, fault.rip) == fault.rip) {
    kernel::panic("netback dies where it died: its code is damaged");
  }
  const bool hung = fault.kind == abi::FaultKind::hang;
  rebuild(hung ? Trouble::stuck : Trouble::died, hung ? "it hung" : "it died");
}

void Plumbing::restart_netback() {
  rebuild(Trouble::ordered, "root asks for it");
}

void Plumbing::rebuild(Trouble trouble, std::string_view why) {
  const kernel::Nanoseconds begin = kernel::time::now();
  if (coarse() && trouble != Trouble::ordered) kernel::panic(why);
  ++statistics_.rebuilds;
  // It is only memory now, and nothing in it is believed. What it was about to say may be torn.
  new (&owed_) std::vector<net::Notification>;
  new (&offences_) std::vector<net::Offence>;
  const std::uint8_t outside = pool().enter(kOwner);
  const std::size_t buffers = pool().reclaim_owned(kOwner);
  std::size_t vifs = 0;
  std::uint64_t again = 0;
  std::size_t arrivals = 0;
  const std::array<Connection*, net::kPortsMax> before = std::exchange(connections_, {});
  std::array<Connection*, net::kPortsMax> lost{};
  std::size_t lost_count = 0;
  const bool alive = kernel::contain(component_, [&] {
    make_path();
    arrivals = path_->waiting();
    if (nic_ != nullptr) path_->set_nic(nic_);
    for (Connection* const connection : before) {
      if (connection == nullptr) continue;
      if (connection->rejoin()) {
        ++vifs;
        again += path_->vif(connection->port())->statistics.tx_unanswered;
      } else {
        lost[lost_count++] = connection;
      }
    }
  });
  pool().enter(outside);
  if (!alive) kernel::panic("a new netback dies at once: its code is damaged");
  if (lost_count > 0) kernel::image::must_be_whole("damaged code blamed a front-end");
  for (std::size_t i = 0; i < lost_count; ++i)
    blame(*lost[i], net::Hostile::ring_overflow);
  kicked_ = {};
  kicked_ports_ = 0;
  wake();
  tell_repaired(abi::net_uk::Part::netback, trouble, kernel::time::now() - begin);
  log(Level::warning, "netback: ", why, "; made anew in ",
      (kernel::time::now() - begin) / kernel::time::kMicrosecond, " us, ", vifs, " vif(s), ", again,
      " requests again, ", arrivals, " packets found, ", buffers, " buffers");
  if (kernel::memory::available() < kMemoryLeast) kernel::panic("netbacks have used up the memory");
}

std::optional<net::PortId> Plumbing::rejoin(net::VifSettings settings,
                                            std::span<const net::QueuePages> pages,
                                            Connection& connection) {
  const auto port = path_->add_vif(std::move(settings), pages, kernel::time::now());
  if (port) connections_[*port] = &connection;
  return port;
}

/// Front-ends that seem to be the cause of what one pass, or an audit, found wrong.
void Plumbing::judge(std::span<const net::Offence> offences, Accuser accuser) {
  kernel::image::must_be_whole("damaged code accused a front-end");
  struct Accused {
    Connection* connection{};
    net::Hostile reason{};
  };
  // Ports are others' when netback dies on the way.
  std::array<Accused, net::kPortsMax> accused;
  std::size_t count = 0;
  for (const net::Offence& offence : offences) {
    if (Connection* const connection = connections_[offence.port]; connection != nullptr) {
      accused[count++] = {.connection = connection, .reason = offence.reason};
    }
  }
  const bool audited = accuser == Accuser::audit;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [connection, reason] = accused[i];
    net::Accusations& before = connection->accusations();
    const bool doubted = audited ? before.contradicted() : before.offended(kernel::time::now());
    const std::string_view why =
        audited ? "what is known of it contradicts itself" : net::text_of(reason);
    if (!doubted || !rebuild_vif(*connection, why)) blame(*connection, reason);
  }
}

/// It is the front-end: whoever says so has looked whether it is us.
void Plumbing::blame(Connection& connection, net::Hostile reason) {
  if (listener_ != nullptr) listener_->offended(connection, reason);
}

bool Plumbing::rebuild_vif(Connection& connection, std::string_view why) {
  ++statistics_.vif_rebuilds;
  const net::PortId port = connection.port();
  bool again = false;
  const bool alive = guard([&] {
    path_->remove_vif(port);
    again = connection.rejoin();
  });
  wake();
  // It kept its place in the list meanwhile: a netback that died of it has it anew with the others.
  if (!alive) return true;
  if (!again || connection.port() != port) connections_[port] = nullptr;
  log(Level::warning, "netback: vif", connection.domid(), ".", connection.handle(), " is doubted (",
      why, again ? "), and made anew to be sure" : "), and its rings are impossible");
  return again;
}

}  // namespace ppvmm::netuk
