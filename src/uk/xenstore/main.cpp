// xenstore_uk: the host's XenStore as a unikernel, and its backups. Command line: settings.hpp.
#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "abi/checksum.hpp"
#include "kernel/console.hpp"
#include "kernel/events.hpp"
#include "kernel/memory.hpp"
#include "kernel/panic.hpp"
#include "kernel/start.hpp"
#include "kernel/task.hpp"
#include "kernel/time.hpp"
#include "kernel/vitals.hpp"
#include "uk/xenstore/follower.hpp"
#include "uk/xenstore/server.hpp"

namespace {

using namespace ppvmm;
using xenstore::Settings;

/// Root's policy `xoar`, for comparisons: a rebirth loses what was asked and not answered.
bool lose_on_purpose() {
  const auto& words = kernel::vitals::page().orders.words;
  const auto length = std::ranges::find(words, '\0') - words.begin();
  const std::string_view text(words.data(), static_cast<std::size_t>(length));
  return kernel::find_option(text, "lose-unanswered").has_value();
}

/// What the machine may take. Replicas must agree on it, so with backups it follows from the size
/// of a region, in which the state has to fit; the heap must hold it and the copies that a rebirth
/// or a checkpoint makes. Without, it is four fifths of the heap.
std::uint64_t machine_share(const Settings& settings, std::uint64_t heap) {
  const bool replicated =
      settings.role == xenstore::Role::backup || settings.backups[0].has_value();
  if (!replicated) return heap - heap / 5;
  const std::uint64_t share = settings.geometry.checkpoint_bytes;
  const std::uint64_t region =
      settings.role == xenstore::Role::backup ? replication::region_bytes(settings.geometry) : 0;
  if (heap < region + 3 * share) {
    kernel::panic("too little memory for area_kib=");
  }
  return share;
}

store::Options options_for(const Settings& settings) {
  store::Options options;
  options.memory_limit = machine_share(settings, kernel::memory::available());
  options.version = "ppvmm xenstore_uk";
  // A large tree keeps us busy for longer than a hang may last unnoticed.
  static const auto long_work = kernel::vitals::component("tree");
  options.heartbeat.call = [](void*) { kernel::vitals::progress(long_work); };
  return options;
}

/// Seed of the checks in the set's regions: guests must not be able to guess it.
std::uint64_t secret() {
  const abi::Origin& origin = kernel::vitals::page().origin;
  return abi::mix(abi::mix(origin.canary_seed, __builtin_ia32_rdtsc()), origin.first_entry_ns);
}

[[noreturn]] void run_backup(const Settings& settings, bool reborn) {
  static xenstore::Follower follower(settings, options_for(settings), reborn);
  const kernel::task::TaskRoot service(kernel::task::scheduler(), follower.follow());
  kernel::vitals::ready();
  kernel::events::run();
  kernel::panic("the event loop ended");
}

[[noreturn]] void run_primary(const Settings& settings, bool later_life) {
  const auto facts = xenstore::DomainFacts::probe();
  if (!facts) kernel::panic("Xen tells this domain nothing about others: not the XenStore domain?");
  static xenstore::RemoteRegions regions;
  auto beginning = xenstore::begin_life(settings, options_for(settings), later_life, regions);
  kernel::vitals::lap("state");
  const bool empty = beginning.empty;
  const bool stale = beginning.stale;
  static xenstore::Server server(settings, regions, std::move(beginning), *facts, secret());
  if (!server.watch_domains()) kernel::panic("VIRQ_DOM_EXC cannot be bound");
  if (empty) {
    if (!server.attach_dom0()) kernel::panic("dom0's connection cannot be attached");
    server.fill_backups();
  } else {
    server.resume_guests(stale);
    if (lose_on_purpose()) server.lose_requests();
  }
  kernel::vitals::lap("guests");
  server.obey();
  const kernel::task::TaskRoot service(kernel::task::scheduler(), server.serve());
  kernel::vitals::ready();
  kernel::events::run();
  kernel::panic("the event loop ended");
}

}  // namespace

void ppvmm_main(const kernel::Start& start) {
  static Settings settings;
  const auto parsed = Settings::parse(start.command_line);
  if (!parsed) {
    kernel::Text<80> complaint("command line: missing or wrong: ", parsed.error());
    kernel::panic(complaint.view());
  }
  settings = *parsed;
  kernel::log(kernel::Level::info,
              "xenstore_uk: ", settings.role == xenstore::Role::backup ? "backup, " : "primary, ",
              start.memory_pages / 256, " MiB, life ", start.incarnation);
  if (settings.role == xenstore::Role::backup) run_backup(settings, start.reborn);
  const bool rebuilt = kernel::find_option(start.command_line, "rebuilt").has_value();
  run_primary(settings, start.reborn || rebuilt);
}
