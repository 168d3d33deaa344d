/// The dearer repair: the domain is destroyed and made anew under the same id. Its peers' ports and
/// grants wait for that id, so that what the new life maps and binds is what the old one had.
#pragma once

#include <chrono>
#include <cstdint>

#include "root/builder.hpp"
#include "root/failure.hpp"
#include "root/image.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

/// Where the time went, in nanoseconds of root's clock.
struct RebuildTimes {
  std::uint64_t destroy{};
  std::uint64_t build{};
  std::uint64_t ready{};  ///< From unpause.
  std::uint64_t total{};
};

struct Rebuilt {
  BuiltDomain built;
  RebuildTimes times;
};

/// Destroys the domain if it still exists, builds it again from `spec` (with `domid` set) and waits
/// until it is ready. The caller must not hold mappings of the old one: they would keep its id
/// taken.
[[nodiscard]] Result<Rebuilt> rebuild(const Xen& xen, const Image& image, const DomainSpec& spec,
                                      std::chrono::milliseconds limit);

/// Builds the domain of `spec` (with `domid` set, and free) and leaves it paused at its entry
/// point, with what Xen routes to it in place.
[[nodiscard]] Result<BuiltDomain> build_in_place(const Xen& xen, const Image& image,
                                                 const DomainSpec& spec);

/// Destroys the domain and waits until its id is free.
[[nodiscard]] Result<void> destroy_and_wait(const Xen& xen, DomId domid,
                                            std::chrono::milliseconds limit);

}  // namespace ppvmm::root
