/// A hostile network front-end: connects its vif as a proper one does, and then does what its
/// command line says. Passes if the back-end does what it should: ends its connection, or (where
/// nothing is against the protocol) goes on serving.
///
/// Command line: attack=NAME, one of the table below.
#include <string>

#include "../checks.hpp"
#include "attacks.hpp"
#include "front_end.hpp"
#include "kernel/events.hpp"
#include "kernel/start.hpp"
#include "kernel/task.hpp"
#include "kernel/time.hpp"
#include "kernel/vitals.hpp"

namespace {

using namespace ppvmm;
using kernel::task::Task;

constexpr kernel::Nanoseconds kPatience = 30 * kernel::time::kSecond;
constexpr kernel::Nanoseconds kRestNs = 20 * kernel::time::kMillisecond;

Task<> attack_and_judge(xenbus::Store& store, std::string name) {
  test::Checks checks("netfront");
  const auto attack = test::attack_named(name);
  checks.expect(attack.has_value(), "the attack is known");
  test::FrontEnd front(store);
  checks.expect(co_await front.connect(), "the vif connects");
  if (!attack || !checks.good()) checks.finish();
  // A packet first, so that it is the attack that is answered and not the connection.
  front.send({.grant = front.data_grant(), .offset = 0, .flags = 0, .id = 1, .size = 60});
  front.notify();
  const auto end = kernel::time::now() + kPatience;
  xenbus::State state = xenbus::State::connected;
  for (unsigned round = 0; kernel::time::now() < end; ++round) {
    if (round >= attack->rounds) break;
    attack->act(front, round);
    front.notify();
    co_await kernel::task::Sleep{kernel::time::timers(), kernel::time::now() + attack->pause};
    state = co_await xenbus::read_state(store, front.backend());
    if (state != xenbus::State::connected) break;
  }
  while (attack->ends && state == xenbus::State::connected && kernel::time::now() < end) {
    co_await kernel::task::Sleep{kernel::time::timers(), kernel::time::now() + kRestNs};
    state = co_await xenbus::read_state(store, front.backend());
  }
  checks.expect((state != xenbus::State::connected) == attack->ends,
                attack->ends ? "the back-end ends the connection" : "the back-end goes on");
  checks.note("state", static_cast<std::uint64_t>(state));
  checks.finish();
}

}  // namespace

void ppvmm_main(const kernel::Start& start) {
  static xenbus::Store store(start);
  const auto name = kernel::find_option(start.command_line, "attack");
  const kernel::task::TaskRoot task(kernel::task::scheduler(),
                                    attack_and_judge(store, std::string(name.value_or(""))));
  kernel::vitals::ready();
  kernel::events::run();
}
