#include "xenbus/device.hpp"

#include <utility>

namespace ppvmm::xenbus {

kernel::task::Task<State> read_state(Store& store, std::string path) {
  path += "/state";
  const auto value = co_await store.read(path);
  co_return value ? state_of(*value) : State::unknown;
}

kernel::task::Task<std::expected<void, Error>> switch_state(Store& store, std::string path,
                                                            State state) {
  path += "/state";
  for (;;) {
    const auto transaction = co_await store.begin();
    if (!transaction) co_return std::unexpected(transaction.error());
    // Both at once: what was written is thrown away if the node had gone.
    auto read_call = store.read(path, *transaction);
    auto write_call = store.write_number(path, static_cast<std::uint64_t>(state), *transaction);
    const auto present = co_await read_call;
    const auto written = co_await write_call;
    if (!present || !written) {
      (void)co_await store.abort(*transaction);
      co_return std::unexpected(present ? written.error() : present.error());
    }
    const auto done = co_await store.commit(*transaction);
    if (done) co_return std::expected<void, Error>{};
    if (done.error() != Error::again) co_return std::unexpected(done.error());
  }
}

kernel::task::Task<State> StateWatch::next() {
  for (;;) {
    const auto changed = co_await watch_.next();
    if (!changed) co_return State::unknown;
    const auto value = co_await store_->read(node_);
    const State state = value ? state_of(*value) : State::unknown;
    if (last_ != state) {
      last_ = state;
      co_return state;
    }
  }
}

}  // namespace ppvmm::xenbus
