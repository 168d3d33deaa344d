#include "net/netback/handshake.hpp"

namespace ppvmm::net {
namespace {

/// Its end is down, or was never up and will not come: nothing of it is in use.
bool frontend_gone(BusState frontend) {
  return frontend == BusState::closed || frontend == BusState::unknown;
}

}  // namespace

BusStep Handshake::first_step(const BusView& view) const {
  switch (view.backend) {
    case BusState::connected:
      // Whether the front-end went away while nobody looked is seen in the next step.
      return BusStep::adopt;
    case BusState::closing:
      return frontend_gone(view.frontend) ? BusStep::close : BusStep::nothing;
    case BusState::closed:
      if (!view.online) return BusStep::close;
      return view.frontend == BusState::initialising ? BusStep::advertise : BusStep::nothing;
    case BusState::unknown:
    case BusState::initialising:
    case BusState::init_wait:
    case BusState::initialised:
      return frontend_gone(view.frontend) && !view.online ? BusStep::close : BusStep::advertise;
  }
  return BusStep::nothing;
}

BusStep Handshake::next(const BusView& view, std::uint64_t now_ns) const {
  wakes_at_.reset();
  if (view.backend != BusState::closed || view.online) over_since_.reset();
  if (!view.present) return BusStep::forget;

  if (view.backend == BusState::closed && known_ && !connected_) {
    if (!view.online) {
      // Not from when it was closed: that may be long ago, and whoever ends it looks only now.
      if (!over_since_) over_since_ = now_ns;
      const std::uint64_t due = *over_since_ + kClosedDwellNs;
      if (now_ns >= due) return BusStep::remove;
      wakes_at_ = due;
      return BusStep::nothing;
    }
    if (!refused_ && view.frontend == BusState::initialising) return BusStep::advertise;
    return BusStep::nothing;
  }
  // The tool stack may make a new device in the directory of one that has just closed, before we
  // have removed it: it knows nothing of the first.
  const bool fresh = !known_ || (!connected_ && view.backend == BusState::initialising);
  if (refused_ && !fresh) return BusStep::close;
  if (fresh) return first_step(view);

  const bool ending = view.backend == BusState::closing || !view.online;
  if (connected_) {
    if (frontend_gone(view.frontend)) return BusStep::close;
    if (view.frontend == BusState::closing) {
      return view.backend == BusState::closing ? BusStep::nothing : BusStep::disconnect;
    }
    // A guest that crashed and booted anew did not say good-bye.
    if (view.frontend == BusState::initialising || view.frontend == BusState::init_wait) {
      return BusStep::close;
    }
    return BusStep::nothing;  // while ending, the front-end is to close first
  }
  if (frontend_gone(view.frontend)) return BusStep::close;
  if (view.backend == BusState::closing) return BusStep::nothing;
  // It closes what it never opened: Linux' netfront does when its device vanished and came back
  // before it had taken leave, and waits for our answer with all else that its kernel has to do in
  // XenStore.
  if (view.frontend == BusState::closing) return BusStep::disconnect;
  if (ending) return BusStep::nothing;
  if (view.frontend == BusState::connected || view.frontend == BusState::initialised) {
    if (view.backend != BusState::init_wait) return BusStep::nothing;
    const std::uint64_t due = view.moved ? now_ns : init_wait_since_ + kInitWaitDwellNs;
    if (now_ns >= due) return BusStep::connect;
    wakes_at_ = due;
  }
  return BusStep::nothing;
}

void Handshake::done(BusStep step, std::uint64_t now_ns) {
  switch (step) {
    case BusStep::nothing:
      return;
    case BusStep::advertise:
      refused_ = false;
      init_wait_since_ = now_ns;
      break;
    case BusStep::connect:
    case BusStep::adopt:
      connected_ = true;
      break;
    case BusStep::disconnect:
    case BusStep::close:
    case BusStep::remove:
    case BusStep::forget:
      connected_ = false;
      break;
  }
  known_ = true;
}

}  // namespace ppvmm::net
