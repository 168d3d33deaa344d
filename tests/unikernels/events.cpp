/// Event channels: a pair of ports of this domain with itself.
#include "kernel/events.hpp"

#include "checks.hpp"
#include "kernel/start.hpp"
#include "kernel/time.hpp"
#include "kernel/vitals.hpp"

namespace {

using namespace ppvmm::kernel;

struct Heard {
  std::uint64_t times{};
  events::Port port{};
};

void hear(void* context, events::Port port) {
  auto& heard = *static_cast<Heard*>(context);
  ++heard.times;
  heard.port = port;
}

bool heard_once(void* context) {
  return static_cast<Heard*>(context)->times == 1;
}
bool heard_twice(void* context) {
  return static_cast<Heard*>(context)->times == 2;
}

}  // namespace

void ppvmm_main(const Start&) {
  ppvmm::test::Checks checks("events");
  vitals::ready();
  const events::DomId self = events::own_domain();
  checks.expect(self != 0 && self < DOMID_FIRST_RESERVED, "the domain learns its id");
  checks.note("domid", self);

  const auto near = events::alloc_unbound(self);
  if (!checks.expect(near.has_value(), "a port can be had")) checks.finish();
  const auto far = events::bind_interdomain(self, *near);
  if (!checks.expect(far.has_value(), "and bound")) checks.finish();

  const Nanoseconds limit = time::now() + 2 * time::kSecond;
  Heard heard;
  events::handle(*near, hear, &heard);
  // Binding raises an event at both ends once (event_channel.h); it may be heard or not yet.
  (void)events::run_until(heard_once, &heard, time::now() + 10 * time::kMillisecond);
  heard = {};
  events::notify(*far);
  checks.expect(events::run_until(heard_once, &heard, limit), "a notification arrives");
  checks.expect(heard.port == *near, "at the right port");
  events::notify(*far);
  events::notify(*far);
  checks.expect(events::run_until(heard_twice, &heard, limit), "two unheard ones become one");
  events::handle(*near, nullptr, nullptr);
  events::notify(*far);
  while (events::turn()) {
  }
  checks.expect(heard.times == 2, "without a handler it waits");
  events::handle(*near, hear, &heard);
  heard.times = 0;
  checks.expect(events::run_until(heard_once, &heard, limit), "and is heard when there is one");

  const auto nobody = events::bind_interdomain(self, 4000);
  checks.expect(!nobody && nobody.error() == events::Error::no_such_port,
                "a port that does not exist is refused");
  const std::uint64_t sleeps = vitals::page().counts.sleeps;
  const bool never =
      events::run_until([](void*) { return false; }, nullptr, time::now() + 5 * time::kMillisecond);
  checks.expect(!never && vitals::page().counts.sleeps > sleeps,
                "the vCPU is given back while there is nothing to do");
  events::close(*far);
  events::close(*near);
  checks.finish();
}
