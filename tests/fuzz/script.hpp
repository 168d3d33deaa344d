/// What the fuzz targets share: reading the input as a script, a small store, and the last check.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "store/machine.hpp"
#include "support/message.hpp"

namespace ppvmm::fuzz {

/// The fuzzer's input, consumed from the front. At the end it gives zeros and nothing.
struct Script {
  std::span<const std::byte> rest;

  [[nodiscard]] bool done() const { return rest.empty(); }
  std::uint8_t byte() {
    const auto taken = bytes(1);
    return taken.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(taken[0]);
  }
  std::span<const std::byte> bytes(std::size_t count) {
    const auto taken = rest.first(std::min(count, rest.size()));
    rest = rest.subspan(taken.size());
    return taken;
  }
  std::string_view text(std::size_t count) {
    const auto taken = bytes(count);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
};

/// Limits low enough for short inputs to reach them.
inline store::Options small_store() {
  store::Options options;
  options.quotas.nodes = 8;
  options.quotas.watches = 4;
  options.quotas.transactions = 2;
  options.quotas.transaction_nodes = 6;
  options.quotas.outstanding = 6;
  options.quotas.memory_hard = 60'000;
  options.memory_limit = 4U << 20U;
  return options;
}

/// The machine's own check of itself (CONTROL check) finds nothing wrong.
inline void check(store::Machine& machine, store::ConnId socket) {
  machine.sent(socket, machine.to_send(socket).size());
  constexpr std::string_view kCheck{"check\0", 6};
  if (machine.broken(socket)) return;
  test::Decoder decoder;
  const auto request = test::encode(store::MessageType::control, 0x5eed, 0, kCheck);
  // A request that the input left unfinished comes first; then nothing can be asked any more.
  const std::size_t taken = machine.receive(socket, request);
  if (taken != request.size()) return;
  decoder.feed(machine.to_send(socket));
  while (const auto answer = decoder.next()) {
    if (answer->header.request_id == 0x5eed && answer->is_error()) __builtin_trap();
  }
}

}  // namespace ppvmm::fuzz
