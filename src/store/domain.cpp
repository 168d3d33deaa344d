#include "store/domain.hpp"

#include <algorithm>

namespace ppvmm::store {
namespace {

auto place_of(const std::vector<std::unique_ptr<Domain>>& domains, DomId domid) {
  return std::lower_bound(
      domains.begin(), domains.end(), domid,
      [](const std::unique_ptr<Domain>& domain, DomId id) { return domain->domid < id; });
}

}  // namespace

Domain* DomainTable::find(DomId domid) const {
  const auto at = place_of(domains_, domid);
  return at != domains_.end() && (*at)->domid == domid ? at->get() : nullptr;
}

Domain& DomainTable::find_or_make(DomId domid) {
  const auto at = place_of(domains_, domid);
  if (at != domains_.end() && (*at)->domid == domid) return **at;
  return **domains_.insert(at, std::make_unique<Domain>(domid));
}

void DomainTable::erase(DomId domid) {
  const auto at = place_of(domains_, domid);
  if (at != domains_.end() && (*at)->domid == domid) domains_.erase(at);
}

}  // namespace ppvmm::store
