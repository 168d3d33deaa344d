/// The victim of the kill test. It dies the way root's orders say, as often as root likes, and each
/// life checks that what had to survive did: a page with a counter, a grant, its mapping, two
/// connected ports.
///
/// Orders (abi::Orders::words, then a notification on the supervisor port): "die trap", "die null",
/// "die jump", "die overflow", "die hang". A survivor that is damaged makes the verdict `failed`.
#include <string_view>

#include "deaths.hpp"
#include "kernel/console.hpp"
#include "kernel/events.hpp"
#include "kernel/grants.hpp"
#include "kernel/memory.hpp"
#include "kernel/panic.hpp"
#include "kernel/start.hpp"
#include "kernel/time.hpp"
#include "kernel/vitals.hpp"

namespace {

using namespace ppvmm;
using namespace ppvmm::kernel;

constexpr std::uint32_t kTag = 1;
constexpr std::uint64_t kPattern = 0x5EED5EED5EED5EED;

/// In the page that survives; also seen through the grant mapping.
struct Counter {
  std::uint64_t pattern;
  std::uint64_t lives;
};

std::uint64_t in_data = 17;  ///< Must be pristine in each life.
std::uint64_t in_bss = 0;

void prepare() {
  const abi::DomId self = events::own_domain();
  std::byte* const page = memory::take_pages(1);
  if (page == nullptr) panic("no page");
  *reinterpret_cast<Counter*>(page) = {kPattern, 0};
  const auto ref = grants::grant(self, page, grants::Access::read_write);
  if (!ref) panic("no grant");
  auto mapping = grants::map(self, *ref, grants::Access::read_write);
  const auto near = events::alloc_unbound(self);
  if (!mapping || !near) panic("no mapping or port");
  const auto far = events::bind_interdomain(self, *near);
  if (!far) panic("no second port");
  const bool kept = memory::survive(page, kTag) && grants::survive(*ref, kTag) &&
                    mapping->survive(kTag) && events::survive(*near, kTag, self, *far) &&
                    events::survive(*far, kTag + 1, self, *near);
  if (!kept) panic("survivors cannot be registered");
  mapping->leave();
}

bool loopback_works() {
  bool heard = false;
  const events::Port near = events::survived(kTag);
  events::handle(
      near, [](void* flag, events::Port) { *static_cast<bool*>(flag) = true; }, &heard);
  while (events::turn()) {
  }
  heard = false;
  events::notify(events::survived(kTag + 1));
  while (events::turn()) {
  }
  events::handle(near, nullptr, nullptr);
  return heard;
}

/// The name of the first survivor that is not as it should be, or nothing.
std::string_view damage(const Start& start) {
  if (in_data != 17 || in_bss != 0) return "image memory is not pristine";
  auto* const counter = reinterpret_cast<Counter*>(memory::survived(kTag));
  if (counter == nullptr || counter->pattern != kPattern) return "page";
  if (start.reborn) {
    auto mapping = grants::survived(kTag);
    if (!mapping) return "mapping";
    const auto* const seen = reinterpret_cast<const Counter*>(mapping->data());
    const bool same = seen->pattern == kPattern && seen->lives == counter->lives;
    mapping->leave();
    if (!same) return "mapped content";
  }
  if (++counter->lives != start.incarnation) return "counter";
  if (!grants::survived_grant(kTag)) return "grant";
  if (!loopback_works()) return "ports";
  if (grants::statistics().stuck != 0) return "something is stuck";
  if (grants::statistics().mapped != 1 || grants::statistics().granted != 1) return "a leak";
  return {};
}

void obey(void*) {
  vitals::progress(vitals::Component::kernel);
  const std::string_view order = vitals::page().orders.words.data();
  if (!order.starts_with("die ")) return;
  in_data = 0;
  in_bss = 1;
  const std::string_view way = order.substr(4);
  if (way == "trap") test::die_by_trap();
  if (way == "null") test::die_by_null_call();
  if (way == "jump") test::die_by_wild_jump();
  if (way == "overflow") test::die_by_stack_overflow();
  if (way == "hang") test::die_by_hang();
  panic("an order that is not known");
}

}  // namespace

void ppvmm_main(const Start& start) {
  if (!start.reborn) prepare();
  const std::string_view damaged = damage(start);
  vitals::page().verdict = damaged.empty() ? abi::Verdict::passed : abi::Verdict::failed;
  if (!damaged.empty()) log(Level::error, "life ", start.incarnation, ": damaged: ", damaged);
  // Orders are looked at on a beat of its own: the supervisor's notification only answers a ping.
  Timer beat(time::timers(), obey, nullptr);
  beat.periodic(time::now() + time::kMillisecond, time::kMillisecond);
  vitals::ready();
  events::run();
}
