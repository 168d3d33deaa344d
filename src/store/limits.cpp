// Quotas, memory and the log.
#include <algorithm>

#include "store/state.hpp"

namespace ppvmm::store {
namespace {

constexpr std::size_t index_of(std::uint32_t Quotas::*limit) {
  std::size_t index = 0;
  while (kQuotaNames[index].field != limit)
    ++index;
  return index;
}

// A client that runs into the same limit again and again must not flood the log: the first few
// times are written down, then each time the count doubles.
bool worth_a_line(std::uint64_t count) {
  return count <= 8 || (count & (count - 1)) == 0;
}

}  // namespace

void State::note_corruption(std::string_view path) {
  ++counters.corruptions;
  log(LogRecord::Level::error, "node " + std::string(path) + " is corrupt");
}

void State::log(LogRecord::Level level, std::string text) {
  log_records.push_back({level, std::move(text)});
}

void State::refuse(const Connection& client, std::uint32_t Quotas::*limit,
                   std::string_view operation) {
  const std::size_t index = index_of(limit);
  ++counters.refusals;
  ++refusals[index];
  const std::uint64_t count =
      client.domain != nullptr ? ++client.domain->refusals[index] : refusals[index];
  if (!worth_a_line(count)) return;
  std::string text = "quota ";
  text += kQuotaNames[index].name;
  text += " (";
  text += std::to_string(options.quotas.*limit);
  text += ") refused domain ";
  text += std::to_string(client.domid);
  text += ' ';
  text += operation;
  text += ", time ";
  text += std::to_string(count);
  log(LogRecord::Level::warning, std::move(text));
}

bool State::may_grow(const Connection& client, std::int64_t bytes, std::string_view operation) {
  if (client.privileged()) return true;
  Domain& domain = *client.domain;
  const std::int64_t after = domain.usage.memory + bytes;
  if (after > std::int64_t{options.quotas.memory_hard}) {
    refuse(client, &Quotas::memory_hard, operation);
    return false;
  }
  const bool above = after > std::int64_t{options.quotas.memory_soft};
  if (above && !domain.memory_warned) {
    log(LogRecord::Level::warning, "domain " + std::to_string(domain.domid) + " uses " +
                                       std::to_string(after) + " bytes: above quota memory-soft (" +
                                       std::to_string(options.quotas.memory_soft) + ")");
  }
  domain.memory_warned = above;
  return true;
}

bool State::doom_guest_transactions() {
  bool any = false;
  for (const auto& connection : connections) {
    if (connection->privileged()) continue;
    for (const auto& transaction : connection->transactions) {
      if (transaction->doomed) continue;
      transaction->doomed = any = true;
      transaction->base = nothing.snapshot();
      transaction->view.reset(transaction->base);
    }
  }
  if (any) log(LogRecord::Level::warning, "memory is short: open transactions of guests will fail");
  return any;
}

bool State::machine_may_grow(std::string_view operation) {
  // What one request can need beyond its own bytes: copies of shared nodes on the way.
  constexpr std::int64_t kMargin = std::int64_t{256} * 1024;
  if (options.memory_limit == 0) return true;
  const auto limit = static_cast<std::int64_t>(options.memory_limit);
  if (memory_in_use() + kMargin <= limit) return true;
  if (doom_guest_transactions() && memory_in_use() + kMargin <= limit) return true;
  ++counters.refusals;
  if (worth_a_line(++memory_refusals)) {
    std::string text = "memory limit (";
    text += std::to_string(options.memory_limit);
    text += ") refused ";
    text += operation;
    text += ", time ";
    text += std::to_string(memory_refusals);
    log(LogRecord::Level::error, std::move(text));
  }
  return false;
}

void State::charge(Connection& client, std::int64_t bytes) {
  if (client.domain != nullptr) client.domain->usage.memory += bytes;
}

std::int64_t State::memory_in_use() const {
  return static_cast<std::int64_t>(heap.bytes()) + buffers.output + buffers.watches +
         buffers.transactions + ledger.path_bytes();
}

void State::charge_write(const Request& request) {
  Connection& client = request.client;
  if (client.privileged()) return;
  // Its own transactions it may spoil as it likes.
  if (open_transactions <= client.transactions.size()) return;
  throttle.charge(*client.domain, now_ms);
  if (Throttle::blocks(*client.domain) && !client.domain->throttle_logged) {
    client.domain->throttle_logged = true;
    log(LogRecord::Level::warning, "domain " + std::to_string(client.domid) +
                                       " writes so much that others' transactions may starve: "
                                       "it is slowed down");
  }
}

}  // namespace ppvmm::store
