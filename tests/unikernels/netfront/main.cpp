/// A hostile network front-end: connects one vif after the other as a proper one does, and then
/// does to each what no proper one does. Passes if the back-end does what it should each time: ends
/// the connection, or (where nothing is against the protocol) goes on serving.
///
/// It wants as many vifs as there are attacks (attacks.cpp).
#include "../checks.hpp"
#include "attacks.hpp"
#include "front_end.hpp"
#include "kernel/console.hpp"
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

/// Makes the attack. The state in which the back-end ends up.
Task<xenbus::State> make(xenbus::Store& store, test::FrontEnd& front, const test::Attack& attack) {
  // A packet first, so that it is the attack that is answered and not the connection.
  front.send({.grant = front.data_grant(), .offset = 0, .flags = 0, .id = 1, .size = 60});
  front.notify();
  const auto end = kernel::time::now() + kPatience;
  xenbus::State state = xenbus::State::connected;
  for (unsigned round = 0; kernel::time::now() < end && round < attack.rounds; ++round) {
    attack.act(front, round);
    front.notify();
    co_await kernel::task::Sleep{kernel::time::timers(), kernel::time::now() + attack.pause};
    state = co_await xenbus::read_state(store, front.backend());
    if (state != xenbus::State::connected) co_return state;
  }
  while (attack.ends && state == xenbus::State::connected && kernel::time::now() < end) {
    co_await kernel::task::Sleep{kernel::time::timers(), kernel::time::now() + kRestNs};
    state = co_await xenbus::read_state(store, front.backend());
  }
  co_return state;
}

Task<> attack_and_judge(xenbus::Store& store) {
  test::Checks checks("netfront");
  std::size_t number = 0;
  for (const test::Attack& attack : test::attacks()) {
    test::FrontEnd front(store, number++);
    if (!checks.expect(co_await front.connect(), "the vif connects")) continue;
    const xenbus::State state = co_await make(store, front, attack);
    checks.expect((state != xenbus::State::connected) == attack.ends, attack.name);
    kernel::log(kernel::Level::info, "attack ", attack.name, ": the back-end is ",
                xenbus::text_of(state));
  }
  checks.finish();
}

}  // namespace

void ppvmm_main(const kernel::Start& start) {
  static xenbus::Store store(start);
  const kernel::task::TaskRoot task(kernel::task::scheduler(), attack_and_judge(store));
  kernel::vitals::ready();
  kernel::events::run();
}
