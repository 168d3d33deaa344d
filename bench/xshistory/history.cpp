#include "history.hpp"

#include <algorithm>
#include <array>
#include <istream>
#include <ostream>
#include <sstream>

namespace ppvmm::xshistory {
namespace {

constexpr std::array<std::string_view, kKinds> kNames{"write", "read",    "begin", "end",
                                                      "watch", "unwatch", "event"};

}  // namespace

std::string_view name_of(Kind kind) {
  return kNames.at(static_cast<std::size_t>(kind));
}

void write_history(std::ostream& out, const History& history) {
  for (const Op& op : history) {
    out << op.client << '\t' << name_of(op.kind) << '\t' << op.transaction << '\t' << op.invoked
        << '\t' << op.answered << '\t' << op.key << '\t' << op.value << '\t' << op.error << '\n';
  }
}

bool read_history(std::istream& in, History& history) {
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    Op op;
    std::string kind;
    if (!(fields >> op.client >> kind >> op.transaction >> op.invoked >> op.answered)) return false;
    const auto found = std::ranges::find(kNames, kind);
    if (found == kNames.end() || fields.get() != '\t') return false;
    op.kind = static_cast<Kind>(found - kNames.begin());
    // Keys, values and errors hold no tabs; any of them may be empty.
    if (!std::getline(fields, op.key, '\t') || !std::getline(fields, op.value, '\t')) return false;
    std::getline(fields, op.error);
    history.push_back(std::move(op));
  }
  return true;
}

}  // namespace ppvmm::xshistory
