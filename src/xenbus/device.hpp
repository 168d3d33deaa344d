/// The state machine that both ends of a Xen device speak over XenStore (io/xenbus.h).
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "xenbus/store.hpp"

namespace ppvmm::xenbus {

/// io/xenbus.h, enum xenbus_state.
enum class State : std::uint8_t {
  unknown = 0,  ///< No such node, or no number: the other end is gone.
  initialising = 1,
  init_wait = 2,
  initialised = 3,
  connected = 4,
  closing = 5,
  closed = 6,
  reconfiguring = 7,
  reconfigured = 8,
};
[[nodiscard]] std::string_view text_of(State state);
/// The state that a node's value names.
[[nodiscard]] State state_of(std::string_view value);

/// The state of the end whose directory is `path`; `unknown` if it has none.
[[nodiscard]] kernel::task::Task<State> read_state(Store& store, std::string path);

/// Sets our state in the directory `path`, unless the tool stack has taken it away meanwhile:
/// `no_entry`, and it stays away.
[[nodiscard]] kernel::task::Task<std::expected<void, Error>> switch_state(Store& store,
                                                                          std::string path,
                                                                          State state);

/// Follows the state of the other end.
class StateWatch {
 public:
  StateWatch(Store& store, const std::string& path)
      : store_(&store), node_(path + "/state"), watch_(store, node_) {}

  /// The next state that differs from the last one given; the first call gives the present one.
  [[nodiscard]] kernel::task::Task<State> next();

 private:
  Store* store_;
  std::string node_;
  Watch watch_;
  std::optional<State> last_;
};

}  // namespace ppvmm::xenbus
