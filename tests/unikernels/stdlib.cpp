/// The standard library as far as pure cores use it.
#include <algorithm>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "checks.hpp"
#include "kernel/memory.hpp"
#include "kernel/start.hpp"
#include "kernel/vitals.hpp"

namespace {

int constructed = [] { return 42; }();

void containers(ppvmm::test::Checks& checks) {
  std::unordered_map<std::string, int> hashed;
  std::map<std::string, int, std::less<>> ordered;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "/local/domain/" + std::to_string(i);
    hashed[key] = i;
    ordered.emplace(key, i);
  }
  checks.expect(hashed.size() == 1000 && hashed.at("/local/domain/999") == 999, "unordered_map");
  checks.expect(ordered.begin()->second == 0 && ordered.find("/local/domain/500")->second == 500,
                "map");
  std::vector<int> values;
  for (const auto& [key, value] : ordered)
    values.push_back(value);
  std::ranges::sort(values);
  checks.expect(std::ranges::is_sorted(values) && values.back() == 999, "vector and sort");
  const std::set<std::string_view> names{"b", "a", "c"};
  checks.expect(*names.begin() == "a", "set");
}

std::expected<int, std::string> half(int value) {
  if (value % 2 != 0) return std::unexpected("odd");
  return value / 2;
}

}  // namespace

void ppvmm_main(const ppvmm::kernel::Start&) {
  ppvmm::test::Checks checks("stdlib");
  ppvmm::kernel::vitals::ready();
  checks.expect(constructed == 42, "static objects are constructed");
  const auto before = ppvmm::kernel::memory::statistics().in_use;
  containers(checks);
  checks.expect(ppvmm::kernel::memory::statistics().in_use == before, "containers give back");
  checks.expect(half(4) == 2 && half(3).error() == "odd", "expected");
  const std::function<int(int)> twice = [&](int value) { return value * 2 + constructed - 42; };
  checks.expect(twice(21) == 42, "function");
  std::variant<int, std::string> either = std::string(100, 'x');
  checks.expect(std::get<std::string>(either).size() == 100, "variant and string");
  checks.expect(std::optional<int>{}.value_or(7) == 7, "optional");
  std::string text(5000, 'a');
  text.replace(10, 3, "bcd");
  checks.expect(text.find("bcd") == 10 && text.substr(4999) == "a", "string functions");
  checks.finish();
}
