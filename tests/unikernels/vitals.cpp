/// What root sees: states, progress, survivors; and that a second life finds what it should.
#include "kernel/vitals.hpp"

#include "checks.hpp"
#include "kernel/events.hpp"
#include "kernel/grants.hpp"
#include "kernel/layout.hpp"
#include "kernel/memory.hpp"
#include "kernel/start.hpp"

namespace {

using namespace ppvmm;
using namespace ppvmm::kernel;

constexpr std::uint32_t kTag = 1;
constexpr std::uint64_t kPattern = 0x0123456789ABCDEF;

std::uint64_t& word(std::byte* page) {
  return *reinterpret_cast<std::uint64_t*>(page);
}

void first_life(test::Checks& checks) {
  const abi::Vitals& page = vitals::page();
  checks.expect(page.magic == abi::kVitalsMagic && page.version == abi::kVitalsVersion, "magic");
  checks.expect(page.incarnation == 1 && page.state == abi::LifeState::booting, "first life");
  checks.expect(page.supervisor_port != 0, "a port for root");
  checks.expect(page.ready_ns == 0 && page.entry_ns >= page.origin.first_entry_ns, "time stamps");
  const auto part = vitals::component("part");
  vitals::progress(part, 5);
  vitals::waiting(part, 3);
  const abi::Progress& slot = page.progress[static_cast<std::size_t>(part)];
  checks.expect(slot.count == 5 && slot.waiting == 3, "progress");
  checks.expect(vitals::component("part") == part, "the same name is the same component");

  const abi::DomId self = events::own_domain();
  std::byte* const kept = memory::take_pages(3);
  std::byte* const lost = memory::take_pages(3);
  word(kept) = kPattern;
  word(lost) = kPattern;
  checks.expect(memory::survive(kept, kTag), "pages are kept");
  checks.expect(!memory::survive(lost, kTag), "a tag is used once");
  const auto ref = grants::grant(self, kept, grants::Access::read_write);
  const auto port = events::alloc_unbound(self);
  if (!checks.expect(ref && port, "resources")) checks.finish();
  const auto far = events::bind_interdomain(self, *port);
  auto mapping = grants::map(self, *ref, grants::Access::read_write);
  if (!checks.expect(far && mapping, "more resources")) checks.finish();
  checks.expect(grants::survive(*ref, kTag) && mapping->survive(kTag) &&
                    events::survive(*port, kTag, self, *far) &&
                    events::survive(*far, kTag + 1, self, *port),
                "they are kept");
  // Not kept: the next life must find these gone.
  const auto second = grants::map(self, *ref, grants::Access::read_only);
  checks.expect(second.has_value(), "a second mapping");
  if (!checks.good()) checks.finish();
  vitals::ready();
  panic("the end of the first life");
}

void second_life(test::Checks& checks) {
  vitals::ready();
  const abi::Vitals& page = vitals::page();
  checks.expect(page.incarnation == 2, "second life");
  checks.expect(page.fault.kind == abi::FaultKind::panic && page.fault.incarnation == 1,
                "the fault of the first is on record");
  checks.expect(page.orders.reboots == 1, "root counted its microreboot");
  checks.expect(vitals::survivors().size() == 6, "six survivors");
  std::byte* const kept = memory::survived(kTag);
  checks.expect(kept != nullptr && word(kept) == kPattern, "pages and content");
  bool hit = false;
  for (std::byte* other = memory::take_pages(1); other != nullptr; other = memory::take_pages(1)) {
    hit = hit || (other >= kept && other < kept + 3 * kPage);
  }
  checks.expect(!hit, "the heap never gives them away");
  const auto mapping = grants::survived(kTag);
  checks.expect(mapping && word(mapping->data()) == kPattern, "the mapping shows its page");
  checks.expect(grants::statistics().mapped == 1, "the mapping that was not kept is gone");
  checks.expect(grants::survived_grant(kTag).has_value(), "the grant");

  bool heard = false;
  events::handle(
      events::survived(kTag), [](void* flag, events::Port) { *static_cast<bool*>(flag) = true; },
      &heard);
  while (events::turn()) {
  }
  checks.expect(heard, "a kept port is raised once when it gets its handler");
  heard = false;
  events::notify(events::survived(kTag + 1));
  while (events::turn()) {
  }
  checks.expect(heard, "and still connected");
  checks.finish();
}

}  // namespace

void ppvmm_main(const Start& start) {
  test::Checks checks("vitals");
  if (start.reborn) {
    second_life(checks);
  } else {
    first_life(checks);
  }
}
