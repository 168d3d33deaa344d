#include "root/builder.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "root/xen_headers.hpp"

namespace ppvmm::root {
namespace {

constexpr std::uint32_t kKib = 1024;
/// start_info.cmd_line (public/xen.h, MAX_GUEST_CMDLINE) with its end.
constexpr std::size_t kCmdlineRoom = MAX_GUEST_CMDLINE;
/// XEN_DOMCTL_settscinfo: the domain reads the processor's time-stamp counter itself
/// (TSC_MODE_NEVER_EMULATE in Xen's docs/man/xen-tscmode.7.pod). By default Xen makes every reading
/// trap when it does not trust the counter to be the same everywhere; a unikernel is never
/// migrated, and the clock that Xen's time records describe is per processor anyway.
constexpr std::uint32_t kTscNative = 2;

struct ReleaseImage {
  void operator()(xc_dom_image* image) const { xc_dom_release(image); }
};
using DomImage = std::unique_ptr<xc_dom_image, ReleaseImage>;

std::string at(const char* step, DomId domid) {
  return std::string(step) + " (building domain " + std::to_string(domid) + ")";
}

/// Who serves XenStore: the domain that was created for it, or else dom0.
DomId store_of(const Xen& xen) {
  const auto domains = xen.domains();
  const auto found = std::ranges::find_if(domains, &DomainFacts::xenstore);
  return found == domains.end() ? DomId{0} : found->domid;
}

}  // namespace

Result<DomId> create_domain(const Xen& xen, const DomainSpec& spec) {
  xen_domctl_createdomain config{};
  config.flags = spec.xenstore ? XEN_DOMCTL_CDF_xs_domain : 0U;
  if (!spec.pci.empty()) config.flags |= XEN_DOMCTL_CDF_iommu;
  config.max_vcpus = 1;
  config.max_evtchn_port = static_cast<std::uint32_t>(-1);
  // A unikernel grants little but maps a page of every guest: -1 is the host's own limit.
  config.max_grant_frames = -1;
  config.max_maptrack_frames = -1;
  config.grant_opts = XEN_DOMCTL_GRANT_version(1);

  std::uint32_t domid = spec.domid.value_or(0);  // 0 asks Xen for a free one
  if (xc_domain_create(xen.control(), &domid, &config) != 0) {
    return failed(spec.domid ? "create domain " + std::to_string(*spec.domid) : "create a domain");
  }
  return static_cast<DomId>(domid);
}

Result<BuiltDomain> build_domain(const Xen& xen, const Image& image, DomId domid,
                                 const DomainSpec& spec) {
  const std::uint64_t begin = now_ns();
  auto* control = xen.control();
  if (spec.cmdline.size() >= kCmdlineRoom) return refused(at("command line too long", domid));

  if (xc_domain_max_vcpus(control, domid, 1) != 0) return failed(at("give it a vCPU", domid));
  if (xc_domain_set_tsc_info(control, domid, kTscNative, 0, 0, 0) != 0) {
    return failed(at("give it the time-stamp counter", domid));
  }
  const std::uint32_t limit_kib = spec.memory_mib * kKib + kKib;  // and room for Xen's own pages
  if (xc_domain_setmaxmem(control, domid, limit_kib) != 0) {
    return failed(at("set its memory limit", domid));
  }
  if (xc_domain_set_memmap_limit(control, domid, limit_kib) != 0) {
    return failed(at("set its memory map limit", domid));
  }
  const xc_evtchn_port_or_error_t console_port = xc_evtchn_alloc_unbound(control, domid, 0);
  if (console_port < 0) return failed(at("allocate its console port", domid));

  const DomImage dom(xc_dom_allocate(control, spec.cmdline.c_str(), nullptr));
  if (!dom) return failed(at("start the domain builder", domid));
  dom->container_type = xc_dom_image::XC_DOM_PV_CONTAINER;
  dom->console_evtchn = static_cast<unsigned>(console_port);
  dom->console_domid = 0;
  // Who asks for no connection gets no ring granted to the store.
  dom->xenstore_domid = domid;
  if (spec.bus) {
    const DomId store = store_of(xen);
    const xc_evtchn_port_or_error_t port = xc_evtchn_alloc_unbound(control, domid, store);
    if (port < 0) return failed(at("allocate its XenStore port", domid));
    dom->xenstore_evtchn = static_cast<unsigned>(port);
    dom->xenstore_domid = store;
  }

  if (xc_dom_boot_xen_init(dom.get(), control, domid) != 0) {
    return failed(at("ask Xen for its capabilities", domid));
  }
  if (xc_dom_kernel_mem(dom.get(), image.bytes().data(), image.bytes().size()) != 0) {
    return failed(at("hand over the image", domid));
  }
  if (xc_dom_parse_image(dom.get()) != 0) return failed(at("parse the image", domid));
  if (xc_dom_mem_init(dom.get(), spec.memory_mib) != 0) return failed(at("size memory", domid));
  if (xc_dom_boot_mem_init(dom.get()) != 0) return failed(at("allocate memory", domid));
  if (xc_dom_build_image(dom.get()) != 0) return failed(at("lay out the image", domid));
  if (xc_dom_boot_image(dom.get()) != 0) return failed(at("set up its vCPU", domid));
  if (xc_dom_gnttab_init(dom.get()) != 0) return failed(at("set up its grant table", domid));

  BuiltDomain built{.domid = domid,
                    .console_port = static_cast<std::uint32_t>(console_port),
                    .console_frame = xc_dom_p2m(dom.get(), dom->console_pfn),
                    .start_info = image.virtual_base() + dom->start_info_pfn * kPageSize,
                    .image_frames = {},
                    .build_ns = 0,
                    .store_port = spec.bus ? dom->xenstore_evtchn : 0,
                    .store_frame = spec.bus ? xc_dom_p2m(dom.get(), dom->xenstore_pfn) : 0};
  for (xen_pfn_t page = 0; page < image.pages(); ++page) {
    built.image_frames.push_back(xc_dom_p2m(dom.get(), page));
  }
  built.build_ns = now_ns() - begin;
  return built;
}

Result<BuiltDomain> create_and_build(const Xen& xen, const Image& image, const DomainSpec& spec) {
  const std::uint64_t begin = now_ns();
  const auto domid = create_domain(xen, spec);
  if (!domid) return std::unexpected(domid.error());
  auto built = build_domain(xen, image, *domid, spec);
  if (!built) {
    if (const auto gone = xen.destroy(*domid); !gone) {
      return std::unexpected(
          Failure{built.error().text() + "; then " + gone.error().what, gone.error().error});
    }
    return built;
  }
  built->build_ns = now_ns() - begin;
  return built;
}

}  // namespace ppvmm::root
