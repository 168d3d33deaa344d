#include "replication/reconcile.hpp"

#include <algorithm>

namespace ppvmm::replication {

std::optional<Intent> newest_intent(const Seat& seat, std::span<const Intent> intents) {
  std::optional<Intent> newest;
  for (const Intent& intent : intents) {
    if (intent.domid != seat.domid || intent.epoch != seat.epoch) continue;
    if (intent.in_count > intent.in_after || intent.out_count > intent.out_after ||
        intent.logged_count > intent.logged_after || intent.out_count > 1024) {
      continue;
    }
    if (!newest || intent.serial > newest->serial) newest = intent;
  }
  return newest;
}

std::optional<Streams> reconcile(const Seat& seat, const std::optional<Intent>& newest,
                                 std::uint32_t response_index) {
  const auto index = [&](std::uint64_t out) {
    return seat.ring.response_base + static_cast<std::uint32_t>(out);
  };
  if (!newest) {
    // No publication was ever intended, so none happened.
    if (response_index != index(0)) return std::nullopt;
    return Streams{.in = seat.in, .out = 0, .logged = 0, .serial = 0};
  }
  const bool happened = response_index == index(newest->out_after);
  if (!happened && response_index != index(newest->out_after - newest->out_count)) {
    return std::nullopt;
  }
  Streams streams{.in = newest->in_after,
                  .out = newest->out_after,
                  .logged = newest->logged_after,
                  .serial = newest->serial};
  if (!happened) {
    streams.in -= newest->in_count;
    streams.out -= newest->out_count;
    streams.logged -= newest->logged_count;
  }
  // What the log holds has been consumed, whether or not its answer has left.
  streams.in = std::max(streams.in, seat.in);
  return streams;
}

}  // namespace ppvmm::replication
