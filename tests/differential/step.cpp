#include "differential/step.hpp"

#include <stdint.h>
#include <xen/io/xs_wire.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace ppvmm::differential {
namespace {

/// A letter that comes at least so often in a row is written \{40v}.
constexpr std::size_t kShownAsRun = 12;
constexpr std::size_t kLongestRun = 65536;

using Named = std::pair<std::string_view, std::uint32_t>;

constexpr std::array kTypes{
    Named{"CONTROL", XS_CONTROL},
    Named{"DIRECTORY", XS_DIRECTORY},
    Named{"READ", XS_READ},
    Named{"GET_PERMS", XS_GET_PERMS},
    Named{"WATCH", XS_WATCH},
    Named{"UNWATCH", XS_UNWATCH},
    Named{"TRANSACTION_START", XS_TRANSACTION_START},
    Named{"TRANSACTION_END", XS_TRANSACTION_END},
    Named{"INTRODUCE", XS_INTRODUCE},
    Named{"RELEASE", XS_RELEASE},
    Named{"GET_DOMAIN_PATH", XS_GET_DOMAIN_PATH},
    Named{"WRITE", XS_WRITE},
    Named{"MKDIR", XS_MKDIR},
    Named{"RM", XS_RM},
    Named{"SET_PERMS", XS_SET_PERMS},
    Named{"IS_DOMAIN_INTRODUCED", XS_IS_DOMAIN_INTRODUCED},
    Named{"RESUME", XS_RESUME},
    Named{"SET_TARGET", XS_SET_TARGET},
    Named{"RESET_WATCHES", XS_RESET_WATCHES},
    Named{"DIRECTORY_PART", XS_DIRECTORY_PART},
};

using NamedKind = std::pair<std::string_view, Step::Kind>;

constexpr std::array kKinds{
    NamedKind{"LIST", Step::Kind::list},         NamedKind{"OPEN", Step::Kind::open},
    NamedKind{"CLOSE", Step::Kind::close},       NamedKind{"CREATE", Step::Kind::create},
    NamedKind{"SHUTDOWN", Step::Kind::shutdown}, NamedKind{"CRASH", Step::Kind::crash},
    NamedKind{"RESUMED", Step::Kind::resumed},   NamedKind{"DESTROY", Step::Kind::destroy},
};

using NamedLimit = std::pair<std::string_view, std::uint32_t Limits::*>;

constexpr std::array kLimits{
    NamedLimit{"nodes", &Limits::nodes},
    NamedLimit{"watches", &Limits::watches},
    NamedLimit{"transactions", &Limits::transactions},
    NamedLimit{"node_size", &Limits::node_size},
};

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

std::string_view take_word(std::string_view& line) {
  while (line.starts_with(' '))
    line.remove_prefix(1);
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  while (line.starts_with(' '))
    line.remove_prefix(1);
  return word;
}

std::optional<std::string> unquoted(std::string_view text) {
  if (text.size() < 2 || !text.starts_with('"') || !text.ends_with('"')) return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    unsigned char value{};
    switch (text[i]) {
      case '0':
        bytes += '\0';
        break;
      case 'n':
        bytes += '\n';
        break;
      case 'x':
        if (i + 2 >= text.size() ||
            std::from_chars(&text[i + 1], &text[i + 3], value, 16).ptr != &text[i + 3])
          return std::nullopt;
        bytes += static_cast<char>(value);
        i += 2;
        break;
      case '{': {  // \{40v}: forty times v
        std::size_t count{};
        const auto end = std::from_chars(&text[i] + 1, text.data() + text.size(), count).ptr;
        const auto at = static_cast<std::size_t>(end - text.data());
        if (at + 1 >= text.size() || text[at + 1] != '}' || count > kLongestRun)
          return std::nullopt;
        bytes.append(count, text[at]);
        i = at + 1;
        break;
      }
      default:
        bytes += text[i];
    }
  }
  return bytes;
}

std::optional<Actor> parse_actor(std::string_view word) {
  Actor actor;
  if (word.starts_with('d'))
    actor.kind = Actor::Kind::domain;
  else if (!word.starts_with('s'))
    return std::nullopt;
  if (!parse_number(word.substr(1), actor.number)) return std::nullopt;
  return actor;
}

bool parse_what(std::string_view word, Step& step) {
  for (const auto& [name, kind] : kKinds)
    if (name == word) {
      step.kind = kind;
      return true;
    }
  for (const auto& [name, type] : kTypes)
    if (name == word) {
      step.type = type;
      return true;
    }
  return parse_number(word, step.type);
}

std::optional<Step> parse_step(std::string_view line) {
  Step step;
  const auto actor = parse_actor(take_word(line));
  if (!actor || !parse_what(take_word(line), step)) return std::nullopt;
  step.actor = *actor;
  while (!line.empty() && !line.starts_with('"')) {
    const std::string_view word = take_word(line);
    if (!(word.starts_with("tx=") && parse_number(word.substr(3), step.transaction)) &&
        !(word.starts_with("as=") && parse_number(word.substr(3), step.starts)))
      return std::nullopt;
  }
  if (line.empty()) return step;
  auto payload = unquoted(line);
  if (!payload) return std::nullopt;
  step.payload = std::move(*payload);
  return step;
}

bool parse_limits(std::string_view line, Limits& limits) {
  while (!line.empty()) {
    const std::string_view word = take_word(line);
    bool known = false;
    for (const auto& [name, field] : kLimits)
      if (word.starts_with(name) && word.substr(name.size()).starts_with('='))
        known = parse_number(word.substr(name.size() + 1), limits.*field);
    if (!known) return false;
  }
  return true;
}

}  // namespace

std::string to_text(Actor actor) {
  return (actor.kind == Actor::Kind::domain ? "d" : "s") + std::to_string(actor.number);
}

std::string quoted(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text = "\"";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    const auto byte = static_cast<unsigned char>(c);
    const std::size_t run = bytes.find_first_not_of(c, i) - i;
    if (const std::size_t length = std::min(run, bytes.size() - i);
        length >= kShownAsRun && c >= 'a' && c <= 'z') {
      text += "\\{" + std::to_string(length) + c + '}';
      i += length - 1;
    } else if (c == '\0')
      text += "\\0";
    else if (c == '\n')
      text += "\\n";
    else if (c == '"' || c == '\\')
      (text += '\\') += c;
    else if (byte < 0x20 || byte >= 0x7f)
      ((text += "\\x") += kHex[byte >> 4]) += kHex[byte & 15];
    else
      text += c;
  }
  return text + '"';
}

std::string name_of_type(std::uint32_t type) {
  for (const auto& [name, number] : kTypes)
    if (number == type) return std::string(name);
  return std::to_string(type);
}

std::string to_text(const Step& step) {
  std::string text = to_text(step.actor) + ' ';
  if (step.kind != Step::Kind::request && step.kind != Step::Kind::list) {
    for (const auto& [name, kind] : kKinds)
      if (kind == step.kind) text += name;
    return text;
  }
  text += step.kind == Step::Kind::list ? "LIST" : name_of_type(step.type);
  if (step.transaction != 0) text += " tx=" + std::to_string(step.transaction);
  if (step.starts != 0) text += " as=" + std::to_string(step.starts);
  return text + ' ' + quoted(step.payload);
}

std::string to_text(const Scenario& scenario) {
  std::string text = "limits";
  for (const auto& [name, field] : kLimits)
    if (scenario.limits.*field != 0)
      ((text += ' ') += name) += '=' + std::to_string(scenario.limits.*field);
  text += '\n';
  for (const Step& step : scenario.steps)
    text += to_text(step) + '\n';
  return text;
}

std::expected<Scenario, std::string> parse_scenario(std::string_view text) {
  Scenario scenario;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty() || line.starts_with('#')) continue;
    const auto refuse = [&] {
      return std::unexpected("line " + std::to_string(number) + ": " + std::string(line));
    };
    if (line.starts_with("limits")) {
      if (!parse_limits(line.substr(6).substr(line.size() > 6 ? 1 : 0), scenario.limits))
        return refuse();
      continue;
    }
    auto step = parse_step(line);
    if (!step) return refuse();
    scenario.steps.push_back(std::move(*step));
  }
  return scenario;
}

}  // namespace ppvmm::differential
