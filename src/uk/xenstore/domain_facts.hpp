/// What Xen tells the XenStore domain about other domains.
///
/// XEN_DOMCTL_getdomaininfo is the one control operation that a domain created with
/// XEN_DOMCTL_CDF_xs_domain may use (public/domctl.h). Its interface is versioned per Xen release
/// and Xen refuses any version but its own; the two fields used here have kept their place in all
/// of them, so the version is found by asking, once, at the start.
#pragma once

#include <cstdint>
#include <optional>

#include "store/types.hpp"

namespace ppvmm::xenstore {

enum class DomainState : std::uint8_t {
  alive,
  shut_down,  ///< Stopped, by itself or by a crash, but still there.
  dead,       ///< Gone, or going: whoever maps its pages must let go of them.
};

class DomainFacts {
 public:
  /// Finds the interface version of the running Xen. Nothing when it answers to none we know, or
  /// when this domain was not created as the XenStore domain.
  [[nodiscard]] static std::optional<DomainFacts> probe();

  [[nodiscard]] DomainState state_of(store::DomId domid) const;
  [[nodiscard]] std::uint32_t interface_version() const { return version_; }

 private:
  explicit DomainFacts(std::uint32_t version) : version_(version) {}
  std::uint32_t version_;
};

}  // namespace ppvmm::xenstore
