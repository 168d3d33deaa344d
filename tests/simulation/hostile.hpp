/// Domains that mean harm: they overrun limits, break the protocol, scribble over their ring page,
/// and never read what they are sent.
#pragma once

#include "simulation/random.hpp"
#include "store/machine.hpp"
#include "store/ring.hpp"
#include "support/message.hpp"

namespace ppvmm::simulation {

struct Hostile {
  store::DomId domid{};
  store::RingPage page{};
  bool attached{};
  test::Bytes outgoing{};  ///< The rest of a message that did not fit.

  /// Does something unpleasant to the page.
  void act(Random& random);

 private:
  void scribble(Random& random);
  void flood(Random& random);
};

}  // namespace ppvmm::simulation
