#include "differential/canonical.hpp"

#include <algorithm>
#include <set>

#include "differential/wire.hpp"

namespace ppvmm::differential {
namespace {

std::string sorted_names(std::string_view names) {
  std::set<std::string> set;
  while (!names.empty()) {
    const auto name = names.substr(0, names.find('\0'));
    if (!name.empty()) set.emplace(name);
    names.remove_prefix(std::min(names.size(), name.size() + 1));
  }
  std::string result;
  for (const std::string& name : set)
    result += name + '\0';
  return result;
}

}  // namespace

Answer canonical(const Step& step, Answer answer) {
  if (answer.kind != Answer::Kind::reply || answer.type == XS_ERROR) return answer;
  if (step.kind == Step::Kind::list) {
    answer.payload = sorted_names(answer.payload);
  } else if (step.type == XS_TRANSACTION_START) {
    answer.payload = "<id>";
  } else if (step.type == XS_DIRECTORY) {
    answer.payload = sorted_names(answer.payload);
  } else if (step.type == XS_DIRECTORY_PART) {
    const auto generation = answer.payload.find('\0');
    answer.payload = sorted_names(std::string_view(answer.payload).substr(generation + 1));
  }
  return answer;
}

}  // namespace ppvmm::differential
