#include "root/daemon/config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace ppvmm::root::daemon {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kHour = std::uint64_t{3600} * 1000 * kMs;
constexpr std::uint64_t kMostPages = 1'000'000;
constexpr std::uint64_t kMostRepairs = 100'000;

/// Reads tables key by key; the first mistake is kept, and everything after it is ignored.
class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {}

  [[nodiscard]] const std::optional<Failure>& mistake() const { return mistake_; }

  void refuse(const toml::node& at, const std::string& what, const std::string& expected) {
    refuse(at.source().begin.line, what, expected);
  }
  void refuse(std::uint32_t line, const std::string& what, const std::string& expected) {
    if (mistake_) return;
    mistake_ = Failure{fmt::format("{}:{}: {}; expected {}", path_, line, what, expected), 0};
  }

  /// A number of milliseconds (or of `unit`) between the limits, as multiples of `unit`.
  void number(const toml::table& table, std::string_view key, std::uint64_t& out,
              std::uint64_t least, std::uint64_t most, std::uint64_t unit = 1) {
    const toml::node* const node = take(table, key);
    if (node == nullptr) return;
    const auto expected = fmt::format("a number from {} to {}", least, most);
    const auto value = node->value<double>();
    if (!node->is_number() || !value) {
      refuse(*node, fmt::format("{} is no number", key), expected);
    } else if (*value < static_cast<double>(least) || *value > static_cast<double>(most)) {
      refuse(*node, fmt::format("{} = {}", key, *value), expected);
    } else {
      out = static_cast<std::uint64_t>(*value * static_cast<double>(unit));
    }
  }
  void count(const toml::table& table, std::string_view key, std::uint32_t& out) {
    std::uint64_t value = out;
    number(table, key, value, 0, kMostRepairs);
    out = static_cast<std::uint32_t>(value);
  }
  void text(const toml::table& table, std::string_view key, std::string& out) {
    const toml::node* const node = take(table, key);
    if (node == nullptr) return;
    if (const auto value = node->value<std::string>(); node->is_string() && value) {
      out = *value;
    } else {
      refuse(*node, fmt::format("{} is no text", key), "a text in quotes");
    }
  }
  void flag(const toml::table& table, std::string_view key, bool& out) {
    const toml::node* const node = take(table, key);
    if (node == nullptr) return;
    if (const auto value = node->value<bool>(); node->is_boolean() && value) {
      out = *value;
    } else {
      refuse(*node, fmt::format("{} is neither true nor false", key), "true or false");
    }
  }
  void names(const toml::table& table, std::string_view key,
             std::optional<std::vector<std::string>>& out) {
    const toml::node* const node = take(table, key);
    if (node == nullptr) return;
    const toml::array* const list = node->as_array();
    if (list == nullptr) {
      refuse(*node, fmt::format("{} is no list", key), "a list of unit names");
      return;
    }
    out.emplace();
    for (const toml::node& each : *list) {
      if (const auto name = each.value<std::string>(); each.is_string() && name) {
        out->push_back(*name);
      } else {
        refuse(each, fmt::format("{} holds something that is no text", key),
               "a list of unit names");
      }
    }
  }
  const toml::table* section(const toml::table& table, std::string_view key) {
    const toml::node* const node = take(table, key);
    if (node == nullptr) return nullptr;
    if (node->as_table() == nullptr) {
      refuse(*node, fmt::format("{} is no table", key), fmt::format("[{}]", key));
    }
    return node->as_table();
  }

  /// Refuses what has not been read from `table`.
  void nothing_else(const toml::table& table, std::string_view where) {
    for (const auto& [key, node] : table) {
      if (std::ranges::find(known_, std::pair(&table, std::string(key.str()))) != known_.end()) {
        continue;
      }
      std::vector<std::string> allowed;
      for (const auto& [owner, name] : allowed_) {
        if (owner == &table) allowed.push_back(name);
      }
      refuse(key.source().begin.line, fmt::format("unknown key \"{}\" {}", key.str(), where),
             fmt::format("one of {}", fmt::join(allowed, ", ")));
    }
  }

 private:
  const toml::node* take(const toml::table& table, std::string_view key) {
    allowed_.emplace_back(&table, key);
    const toml::node* const node = table.get(key);
    if (node != nullptr) known_.emplace_back(&table, key);
    return mistake_ ? nullptr : node;
  }

  const std::string& path_;
  std::optional<Failure> mistake_;
  std::vector<std::pair<const toml::table*, std::string>> known_;
  std::vector<std::pair<const toml::table*, std::string>> allowed_;
};

/// Only loopback: what the metrics tell is nobody else's business, and a supervisor has no open
/// door to the network.
bool on_loopback(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon + 1 == address.size()) return false;
  const std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  constexpr std::size_t kDigits = 5;
  const bool digits = port.size() <= kDigits &&
                      port.find_first_not_of("0123456789") == std::string::npos &&
                      std::stoul(port) <= std::numeric_limits<std::uint16_t>::max();
  return digits && (host.starts_with("127.") || host == "localhost" || host == "[::1]");
}

void read_policy(Reader& reader, const toml::table& table, const std::string& name,
                 Config& config) {
  // A section named like a preset changes it; any other starts from `base`.
  std::string base = config.policies.contains(name) ? name : "fg";
  reader.text(table, "base", base);
  const auto found = config.policies.find(base);
  if (found == config.policies.end()) {
    reader.refuse(*table.get("base"), fmt::format("there is no policy \"{}\"", base),
                  fmt::format("one of {}", fmt::join(kPresets, ", ")));
    return;
  }
  Policy policy = found->second;
  policy.name = name;
  reader.flag(table, "detect", policy.detect);
  reader.number(table, "refresh_ms", policy.refresh_ns, 0, kHour / kMs, kMs);
  reader.number(table, "start_ms", policy.patience.start_ns, 10, kHour / kMs, kMs);
  reader.number(table, "silence_ms", policy.patience.silence_ns, 1, kHour / kMs, kMs);
  reader.number(table, "idle_ms", policy.patience.idle_ns, 1, kHour / kMs, kMs);
  reader.number(table, "answer_ms", policy.patience.answer_ns, 1, kHour / kMs, kMs);
  reader.count(table, "microreboots", policy.limits.microreboots);
  reader.count(table, "rebuilds", policy.limits.rebuilds);
  reader.number(table, "window_s", policy.limits.window_ns, 1, kHour / kMs / 1000, 1000 * kMs);
  reader.text(table, "words", policy.words);
  reader.text(table, "spare", policy.spare);
  reader.count(table, "take_over", policy.take_over);
  reader.nothing_else(table, "in [policy." + name + "]");
  if (policy.words.size() >= sizeof(abi::Orders::words)) {
    reader.refuse(*table.get("words"), "words are too long",
                  fmt::format("at most {} bytes", sizeof(abi::Orders::words) - 1));
  }
  if (!policy.detect && policy.refresh_ns == 0) {
    reader.refuse(table, "a policy that neither detects nor refreshes does nothing",
                  "detect = true or refresh_ms");
  }
  config.policies.insert_or_assign(name, policy);
}

void read_unit(Reader& reader, const toml::table& table, const std::string& name, Config& config) {
  UnitConfig unit;
  std::string policy;
  reader.text(table, "policy", policy);
  if (const toml::node* const node = table.get("policy")) {
    if (!config.policies.contains(policy)) {
      std::vector<std::string> known;
      known.reserve(config.policies.size());
      for (const auto& [each, unused] : config.policies)
        known.push_back(each);
      reader.refuse(*node, fmt::format("there is no policy \"{}\"", policy),
                    fmt::format("one of {}", fmt::join(known, ", ")));
    } else if (const Policy& chosen = config.policies.at(policy);
               chosen.needs_spare && chosen.spare.empty()) {
      reader.refuse(*node, fmt::format("policy {} needs a spare", policy),
                    fmt::format("spare = \"<unit>\" in [policy.{}]", policy));
    } else if (chosen.spare == name) {
      reader.refuse(*node, fmt::format("policy {} makes {} its own spare", policy, name),
                    "the name of another unit");
    }
    unit.policy = policy;
  }
  reader.names(table, "after", unit.after);
  reader.nothing_else(table, "in [unit." + name + "]");
  config.units.emplace(name, std::move(unit));
}

}  // namespace

Config default_config() {
  Config config;
  config.console_folder = "/var/log/xen/console";
  config.metrics = "127.0.0.1:9476";
  for (const std::string_view name : kPresets) {
    if (const auto policy = preset(name)) config.policies.emplace(name, *policy);
  }
  return config;
}

Policy Config::policy_for(const std::string& name, bool lone_store) const {
  const auto unit = units.find(name);
  if (unit != units.end() && unit->second.policy) return policies.at(*unit->second.policy);
  for (const auto& [other, its] : units) {
    if (!its.policy || policies.at(*its.policy).spare != name) continue;
    Policy mirrored = policies.at(*its.policy);
    mirrored.spare = other;
    return mirrored;
  }
  Policy chosen = policies.at(policy);
  if (lone_store) {
    chosen.limits.microreboots = 0;
    chosen.limits.rebuilds = 0;
  }
  return chosen;
}

Result<Config> parse_config(std::string_view text, const std::string& path) {
  const toml::parse_result parsed = toml::parse(text, path);
  if (!parsed) {
    return refused(fmt::format("{}:{}: {}; expected TOML", path, parsed.error().source().begin.line,
                               parsed.error().description()));
  }
  const toml::table& table = parsed.table();
  Config config = default_config();
  Reader reader(path);
  reader.number(table, "pace_ms", config.pace_ns, 0, 1000, kMs);
  reader.number(table, "scrub_pages_per_s", config.scrub_pages, 0, kMostPages);
  reader.flag(table, "realtime", config.realtime);
  reader.text(table, "console_folder", config.console_folder);
  reader.text(table, "metrics", config.metrics);
  reader.text(table, "policy_of_all", config.policy);
  const toml::table* const policies = reader.section(table, "policy");
  const toml::table* const units = reader.section(table, "unit");
  reader.nothing_else(table, "");
  if (!config.metrics.empty() && !on_loopback(config.metrics)) {
    reader.refuse(*table.get("metrics"), fmt::format("metrics = \"{}\"", config.metrics),
                  "\"127.0.0.1:<port>\", or \"\" for none");
  }
  constexpr std::uint64_t kShortestPace = 100'000;
  if (config.pace_ns < kShortestPace) {
    reader.refuse(*table.get("pace_ms"), "pace_ms is too short", "a number from 0.1 to 1000");
  }
  const auto each = [&](const toml::table* tables, const char* kind, auto read) {
    if (tables == nullptr) return;
    for (const auto& [key, node] : *tables) {
      if (const toml::table* const one = node.as_table()) {
        read(reader, *one, std::string(key.str()), config);
      } else {
        reader.refuse(node, fmt::format("{}.{} is no table", kind, key.str()),
                      fmt::format("[{}.{}]", kind, key.str()));
      }
    }
  };
  each(policies, "policy", read_policy);
  each(units, "unit", read_unit);
  if (!config.policies.contains(config.policy)) {
    reader.refuse(*table.get("policy_of_all"),
                  fmt::format("there is no policy \"{}\"", config.policy),
                  fmt::format("one of {}", fmt::join(kPresets, ", ")));
  } else if (config.policies.at(config.policy).needs_spare) {
    reader.refuse(*table.get("policy_of_all"), "not every unit can have a spare",
                  fmt::format("policy = \"{}\" in [unit.<name>]", config.policy));
  }
  if (reader.mistake()) return std::unexpected(*reader.mistake());
  return config;
}

Result<Config> load_config(const std::string& path) {
  std::ifstream file(path);
  if (!file) return failed("open " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return parse_config(text.str(), path);
}

}  // namespace ppvmm::root::daemon
