/// The back-end's side of the device handshake (io/xenbus.h), as xl and Linux' front-end play it,
/// for one vif. Pure: what XenStore says goes in, the next step comes out.
///
/// libxl (tools/libs/light/libxl_device.c) makes the back-end's directory with state 1, and waits
/// for state 2; to remove, it writes online 0 and state 5 (if it was 6 already: only online 0),
/// waits for state 6, and then for the directory to vanish, which in a driver domain is the
/// back-end's duty. In both waits it reads the state when it is told of a change, so a state that
/// is passed through at once would never be seen by it: there is no acknowledgement. Hence the two
/// dwells. Nobody waits for a vif that root moved here from a net_uk that failed (policy `tfd`).
#pragma once

#include <cstdint>
#include <optional>

namespace ppvmm::net {

/// io/xenbus.h, enum xenbus_state.
enum class BusState : std::uint8_t {
  unknown = 0,  ///< No such node: that end is gone.
  initialising = 1,
  init_wait = 2,
  initialised = 3,
  connected = 4,
  closing = 5,
  closed = 6,
};

/// What XenStore says about a vif.
struct BusView {
  bool present{};  ///< The back-end's directory is there.
  BusState backend{};
  BusState frontend{};
  bool online{};
  bool moved{};  ///< Made by root, who waits for nothing.
};

enum class BusStep : std::uint8_t {
  nothing,
  advertise,   ///< Write what we can do, and state 2.
  connect,     ///< Read what the front-end wants, connect its rings, and write state 4.
  adopt,       ///< Connected by an earlier incarnation: take the rings, write nothing.
  disconnect,  ///< Let go of the rings, and write state 5.
  close,       ///< Let go of the rings if they are connected, and write state 6.
  remove,      ///< Remove the back-end's directory.
  forget,      ///< Let go of everything: it is gone from XenStore.
};

class Handshake {
 public:
  static constexpr std::uint64_t kInitWaitDwellNs = 200'000'000;
  static constexpr std::uint64_t kClosedDwellNs = 300'000'000;

  /// What to do now. Do it, and tell how it went.
  [[nodiscard]] BusStep next(const BusView& view, std::uint64_t now_ns) const;
  /// The step was carried out. One that failed is not told; it is asked for again, or the vif is
  /// given up by failed().
  void done(BusStep step, std::uint64_t now_ns);
  /// The vif cannot be connected, or is hostile: it is closed, and stays so until the tool stack
  /// removes it.
  void failed() { refused_ = true; }

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] bool refused() const { return refused_; }
  /// When next() may answer differently though nothing changed.
  [[nodiscard]] std::optional<std::uint64_t> wakes_at() const { return wakes_at_; }

 private:
  [[nodiscard]] BusStep first_step(const BusView& view) const;

  bool known_{};      ///< The first step is done.
  bool connected_{};  ///< Its rings are ours.
  bool refused_{};
  std::uint64_t init_wait_since_{};
  mutable std::optional<std::uint64_t> over_since_;  ///< First seen closed and not online.
  mutable std::optional<std::uint64_t> wakes_at_;
};

}  // namespace ppvmm::net
