// CONTROL: what an administrator asks with xenstore-control.
#include <algorithm>
#include <array>

#include "store/check.hpp"
#include "store/path.hpp"
#include "store/requests.hpp"

namespace ppvmm::store {
namespace {

using Arguments = std::span<const std::string_view>;
// The text to answer with; an empty one stands for "OK".
using Answer = std::expected<std::string, Error>;

struct Command {
  std::string_view name;
  std::string_view arguments;
  Answer (*run)(State&, Arguments);
};

void append_padded(std::string& out, std::string_view text, std::size_t width, bool right) {
  const std::size_t fill = width - std::min(width, text.size());
  if (right) out.append(fill, ' ');
  out += text;
  if (!right) out.append(fill, ' ');
}

void append_row(std::string& out, std::string_view name, std::int64_t value,
                std::string_view remark) {
  append_padded(out, name, 17, false);
  out += ": ";
  append_padded(out, std::to_string(value), 10, true);
  if (!remark.empty()) out += ' ';
  out += remark;
  out += '\n';
}

Answer check(State& state, Arguments arguments) {
  if (!arguments.empty()) return std::unexpected(Error::inval);
  const auto wrong = find_inconsistency(state);
  if (!wrong) return std::string();
  ++state.counters.corruptions;
  state.log(LogRecord::Level::error, "check: " + *wrong);
  return *wrong + '\n';
}

Answer switch_log(State& state, Arguments arguments) {
  if (arguments.empty()) {
    return std::string(state.trace ? "every request is logged\n" : "requests are not logged\n");
  }
  if (arguments.size() != 1 || (arguments[0] != "on" && arguments[0] != "off")) {
    return std::unexpected(Error::inval);
  }
  state.trace = arguments[0] == "on";
  return std::string();
}

Answer print(State& state, Arguments arguments) {
  if (arguments.size() != 1) return std::unexpected(Error::inval);
  state.log(LogRecord::Level::info, "control: " + std::string(arguments[0]));
  return std::string();
}

Answer memreport(State& state, Arguments arguments) {
  // The peers write into a file that may be named; ours has no files and answers instead.
  if (arguments.size() > 1) return std::unexpected(Error::inval);
  std::string out = state.options.version + " memory in bytes:\n";
  append_row(out, "nodes", static_cast<std::int64_t>(state.heap.bytes()),
             "(" + std::to_string(state.ledger.nodes()) + " committed)");
  append_row(out, "permission lists", static_cast<std::int64_t>(state.permissions.bytes()), "");
  append_row(out, "transactions", state.buffers.transactions,
             "(" + std::to_string(state.open_transactions) + " open)");
  append_row(out, "watches", state.buffers.watches,
             "(" + std::to_string(state.watches.size()) + ")");
  append_row(out, "unsent output", state.buffers.output,
             "(" + std::to_string(state.connections.size()) + " connections)");
  append_row(out, "limit", static_cast<std::int64_t>(state.options.memory_limit), "(0: none)");
  append_row(out, "refused", static_cast<std::int64_t>(state.memory_refusals),
             "requests for want of memory");
  return out;
}

Answer show_quotas(const State& state) {
  std::string out = "Quota settings:\n";
  for (std::size_t i = 0; i < kQuotaNames.size(); ++i) {
    append_row(out, kQuotaNames[i].name, state.options.quotas.*kQuotaNames[i].field,
               "(refused " + std::to_string(state.refusals[i]) + ")");
  }
  return out;
}

Answer set_quota(State& state, Arguments arguments) {
  if (arguments.size() != 2) return std::unexpected(Error::inval);
  const auto value = parse_number(arguments[1], 0x7FFF'FFFF);
  const auto quota = std::find_if(kQuotaNames.begin(), kQuotaNames.end(),
                                  [&](const QuotaName& each) { return each.name == arguments[0]; });
  if (!value || *value == 0 || quota == kQuotaNames.end()) return std::unexpected(Error::inval);
  state.options.quotas.*quota->field = static_cast<std::uint32_t>(*value);
  state.log(LogRecord::Level::info,
            "quota " + std::string(quota->name) + " is " + std::to_string(*value) + " now");
  // A raised limit may set waiting clients free.
  for (const auto& connection : state.connections)
    state.reconsider(*connection);
  return std::string();
}

Answer show_domain(const State& state, std::string_view argument) {
  const auto domid = parse_domid(argument);
  if (!domid) return std::unexpected(Error::inval);
  const Domain* domain = state.domains.find(*domid);
  if (domain == nullptr) return std::unexpected(Error::noent);
  std::string out = "Domain " + std::to_string(*domid) + ":\n";
  append_row(out, "nodes", domain->usage.nodes, "");
  append_row(out, "watches", domain->usage.watches, "");
  append_row(out, "transactions", domain->usage.transactions, "");
  append_row(out, "outstanding",
             domain->connection == nullptr ? 0 : std::int64_t{domain->connection->outstanding}, "");
  append_row(out, "memory", domain->usage.memory, "");
  for (std::size_t i = 0; i < kQuotaNames.size(); ++i) {
    if (domain->refusals[i] == 0) continue;
    append_row(out, kQuotaNames[i].name, static_cast<std::int64_t>(domain->refusals[i]),
               "times refused");
  }
  return out;
}

Answer quota(State& state, Arguments arguments) {
  if (arguments.empty()) return show_quotas(state);
  if (arguments[0] == "set") return set_quota(state, arguments.subspan(1));
  if (arguments.size() != 1) return std::unexpected(Error::inval);
  return show_domain(state, arguments[0]);
}

Answer quota_soft(State& state, Arguments arguments) {
  if (arguments.empty()) {
    std::string out = "Quota settings:\n";
    append_row(out, "memory", state.options.quotas.memory_soft, "");
    return out;
  }
  if (arguments.size() != 3 || arguments[0] != "set" || arguments[1] != "memory") {
    return std::unexpected(Error::inval);
  }
  const std::array<std::string_view, 2> as_quota{"memory-soft", arguments[2]};
  return set_quota(state, as_quota);
}

Answer help(State& state, Arguments arguments);

constexpr std::array kCommands{
    Command{"check", "", check},
    Command{"log", "[on|off]", switch_log},
    Command{"memreport", "", memreport},
    Command{"print", "<string>", print},
    Command{"quota", "[set <name> <val>|<domid>]", quota},
    Command{"quota-soft", "[set <name> <val>]", quota_soft},
    Command{"help", "", help},
};

Answer help(State& /*state*/, Arguments arguments) {
  if (!arguments.empty()) return std::unexpected(Error::inval);
  std::string out;
  for (const Command& command : kCommands) {
    append_padded(out, command.name, 15, false);
    out += ' ';
    out += command.arguments;
    out += '\n';
  }
  return out;
}

}  // namespace

Status do_control(State& state, const Request& request) {
  std::vector<std::string_view> words;
  std::size_t offset = 0;
  while (const auto word = request.payload.next_string(offset))
    words.push_back(*word);
  if (words.empty()) return std::unexpected(Error::inval);
  const auto command = std::find_if(kCommands.begin(), kCommands.end(),
                                    [&](const Command& each) { return each.name == words[0]; });
  if (command == kCommands.end()) return std::unexpected(Error::inval);
  const Answer answer = command->run(state, Arguments(words).subspan(1));
  if (!answer) return std::unexpected(answer.error());
  if (answer->empty()) {
    state.acknowledge(request);
  } else {
    state.answer(request, std::string_view(answer->c_str(), answer->size() + 1));
  }
  return {};
}

}  // namespace ppvmm::store
