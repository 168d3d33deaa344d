/// Makes a PV domain out of a unikernel image.
///
/// Construction follows Xen's own domain builder (libxenguest); the domain gets one vCPU, a console
/// ring and, unlike a guest of the tool stack, neither a name nor an entry in XenStore.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "root/failure.hpp"
#include "root/image.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

struct DomainSpec {
  std::optional<DomId> domid;  ///< A free id to take; nothing lets Xen choose.
  std::uint32_t memory_mib{};  ///< All its memory. At least 2.
  std::string cmdline;         ///< At most 1023 bytes (start_info's field).
  bool xenstore{};             ///< It is to be the host's XenStore domain.
  bool bus{};                  ///< It has a XenStore connection (root/driver_domain.hpp).
  std::vector<std::string>
      pci{};  ///< Devices that it is to have (driver_domain.hpp): with an IOMMU.
};

/// What was built: everything root must know to put the image back later.
struct BuiltDomain {
  DomId domid{};
  std::uint32_t console_port{};   ///< Unbound port of the domain, reserved for dom0.
  Mfn console_frame{};            ///< Its console ring (io/console.h).
  std::uint64_t start_info{};     ///< Address of start_info, as the domain sees it.
  std::vector<Mfn> image_frames;  ///< Frames behind the image, from its virtual base upward.
  std::uint64_t build_ns{};       ///< Time from the first call to the last.
  std::uint32_t store_port{};     ///< With DomainSpec::bus: unbound, reserved for the XenStore ...
  Mfn store_frame{};              ///< ... and the ring page that is granted to it.
};

/// An empty domain, paused: an id to make event channels and grants for. Destroy it on failure.
[[nodiscard]] Result<DomId> create_domain(const Xen& xen, const DomainSpec& spec);

/// Fills a domain made by create_domain() with the image and leaves it paused at its entry point.
[[nodiscard]] Result<BuiltDomain> build_domain(const Xen& xen, const Image& image, DomId domid,
                                               const DomainSpec& spec);

/// create_domain() and build_domain() in one; nothing is left behind when either fails.
[[nodiscard]] Result<BuiltDomain> create_and_build(const Xen& xen, const Image& image,
                                                   const DomainSpec& spec);

}  // namespace ppvmm::root
