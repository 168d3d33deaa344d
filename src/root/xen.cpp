#include "root/xen.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "root/xen_headers.hpp"

namespace ppvmm::root {
namespace {

std::string of(const char* verb, DomId domid) {
  return std::string(verb) + " domain " + std::to_string(domid);
}

DomainFacts facts(const xc_domaininfo_t& info) {
  return {.domid = info.domain,
          .dying = (info.flags & XEN_DOMINF_dying) != 0,
          .shut_down = (info.flags & XEN_DOMINF_shutdown) != 0,
          .paused = (info.flags & XEN_DOMINF_paused) != 0,
          .blocked = (info.flags & XEN_DOMINF_blocked) != 0,
          .offline = info.nr_online_vcpus == 0,
          .xenstore = (info.flags & XEN_DOMINF_xs_domain) != 0,
          .reason = static_cast<std::uint8_t>((info.flags >> XEN_DOMINF_shutdownshift) &
                                              XEN_DOMINF_shutdownmask),
          .cpu_ns = info.cpu_time,
          .pages = info.tot_pages,
          .shared_info = info.shared_info_frame,
          .ssidref = info.ssidref};
}

}  // namespace

Mapping::~Mapping() {
  if (address_ != nullptr) {
    xenforeignmemory_unmap(static_cast<xenforeignmemory_handle*>(handle_), address_, pages_);
  }
}

Mapping::Mapping(Mapping&& other) noexcept
    : handle_(other.handle_),
      address_(std::exchange(other.address_, nullptr)),
      pages_(std::exchange(other.pages_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(address_, other.address_);
  std::swap(pages_, other.pages_);
  return *this;
}

Result<Xen> Xen::open() {
  Xen xen;
  xen.control_ = xc_interface_open(nullptr, nullptr, 0);
  if (xen.control_ == nullptr) return failed("open Xen's control interface (is this dom0?)");
  xen.call_ = xencall_open(nullptr, 0);
  if (xen.call_ == nullptr) return failed("open Xen's hypercall device");
  xen.memory_ = xenforeignmemory_open(nullptr, 0);
  if (xen.memory_ == nullptr) return failed("open Xen's foreign memory interface");
  return xen;
}

Xen::~Xen() {
  if (memory_ != nullptr) {
    xenforeignmemory_close(static_cast<xenforeignmemory_handle*>(memory_));
  }
  if (call_ != nullptr) xencall_close(static_cast<xencall_handle*>(call_));
  if (control_ != nullptr) xc_interface_close(control_);
}

Xen::Xen(Xen&& other) noexcept
    : control_(std::exchange(other.control_, nullptr)),
      call_(std::exchange(other.call_, nullptr)),
      memory_(std::exchange(other.memory_, nullptr)) {}

Xen& Xen::operator=(Xen&& other) noexcept {
  std::swap(control_, other.control_);
  std::swap(call_, other.call_);
  std::swap(memory_, other.memory_);
  return *this;
}

std::uint32_t Xen::processors() const {
  xc_physinfo_t info{};
  return xc_physinfo(control_, &info) == 0 ? info.nr_cpus : 0;
}

std::optional<DomainFacts> Xen::domain(DomId domid) const {
  xc_domaininfo_t info{};
  if (xc_domain_getinfolist(control_, domid, 1, &info) != 1 || info.domain != domid) {
    return std::nullopt;
  }
  return facts(info);
}

std::vector<DomainFacts> Xen::domains() const {
  std::vector<DomainFacts> all;
  std::uint32_t next = 0;
  xc_domaininfo_t info{};
  while (next < kFirstReservedDomId && xc_domain_getinfolist(control_, next, 1, &info) == 1) {
    all.push_back(facts(info));
    next = info.domain + 1U;
  }
  return all;
}

std::vector<DomainFacts> Xen::domains_from(DomId first, std::size_t most) const {
  std::vector<xc_domaininfo_t> infos(most);
  const int count =
      xc_domain_getinfolist(control_, first, static_cast<unsigned>(most), infos.data());
  std::vector<DomainFacts> all;
  for (std::size_t i = 0; count > 0 && i < static_cast<std::size_t>(count); ++i)
    all.push_back(facts(infos[i]));
  return all;
}

Result<void> Xen::pause(DomId domid) const {
  if (xc_domain_pause(control_, domid) != 0) return failed(of("pause", domid));
  return {};
}

Result<void> Xen::unpause(DomId domid) const {
  // EINVAL: nobody holds it (public/domctl.h, XEN_DOMCTL_unpausedomain). Another may have let go of
  // it first, as root does with a domain that it repairs.
  if (xc_domain_unpause(control_, domid) != 0 && errno != EINVAL) {
    return failed(of("unpause", domid));
  }
  return {};
}

Result<void> Xen::destroy(DomId domid) const {
  if (xc_domain_destroy(control_, domid) != 0) return failed(of("destroy", domid));
  return {};
}

// libxenctrl's own resume insists on a domain that suspended in good order and rewrites its
// registers or its start info. A crashed unikernel needs the bare operation.
Result<void> Xen::resume(DomId domid) const {
  auto* call = static_cast<xencall_handle*>(call_);
  auto* op = static_cast<xen_domctl*>(xencall_alloc_buffer(call, sizeof(xen_domctl)));
  if (op == nullptr) return failed("allocate a hypercall buffer");
  *op = {};
  op->cmd = XEN_DOMCTL_resumedomain;
  op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
  op->domain = domid;
  const int status = xencall1(call, __HYPERVISOR_domctl, reinterpret_cast<std::uint64_t>(op));
  const int error = errno;
  xencall_free_buffer(call, op);
  if (status != 0) return std::unexpected(Failure{of("resume", domid), error});
  return {};
}

Result<VcpuState> Xen::vcpu_state(DomId domid) const {
  vcpu_guest_context_any_t context{};
  if (xc_vcpu_getcontext(control_, domid, 0, &context) != 0) {
    return failed(of("read the vCPU context of", domid));
  }
  const auto bytes = std::as_bytes(std::span(&context, 1));
  return VcpuState{{bytes.begin(), bytes.end()}};
}

Result<void> Xen::set_entry(DomId domid, const EntryPoint& entry, const VcpuState& as) const {
  vcpu_guest_context_any_t context{};
  if (as.bytes.size() != sizeof context) return refused("that is no state of a vCPU");
  std::memcpy(&context, as.bytes.data(), sizeof context);
  auto& cpu = context.x64;
  constexpr std::uint64_t kInterruptsEnabled = 1U << 9U;
  cpu.user_regs = {};
  cpu.user_regs.rip = entry.rip;
  cpu.user_regs.rsp = entry.rsp;
  cpu.user_regs.rdi = entry.rdi;
  cpu.user_regs.rsi = entry.rsi;
  cpu.user_regs.rflags = kInterruptsEnabled;
  cpu.user_regs.cs = FLAT_KERNEL_CS_X86_64;
  cpu.user_regs.ss = FLAT_KERNEL_SS_X86_64;
  cpu.user_regs.ds = FLAT_KERNEL_DS_X86_64;
  cpu.user_regs.es = FLAT_KERNEL_DS_X86_64;
  cpu.user_regs.fs = FLAT_KERNEL_DS_X86_64;
  cpu.user_regs.gs = FLAT_KERNEL_DS_X86_64;
  cpu.kernel_ss = cpu.user_regs.ss;
  cpu.kernel_sp = entry.rsp;
  // The reborn image registers its own; until then a fault must not run code of the old life.
  std::ranges::fill(cpu.trap_ctxt, trap_info_x86_64_t{});
  cpu.event_callback_eip = 0;
  cpu.failsafe_callback_eip = 0;
  cpu.syscall_callback_eip = 0;
  cpu.flags = VGCF_in_kernel_X86_64 | VGCF_online_X86_64;
  if (xc_vcpu_setcontext(control_, domid, 0, &context) != 0) {
    return failed(of("set the vCPU context of", domid));
  }
  return {};
}

Result<std::uint64_t> Xen::instruction_pointer(DomId domid) const {
  vcpu_guest_context_any_t context{};
  if (xc_vcpu_getcontext(control_, domid, 0, &context) != 0) {
    return failed(of("read the vCPU context of", domid));
  }
  return context.x64.user_regs.rip;
}

Result<Mapping> Xen::map(DomId domid, std::span<const Mfn> frames, Access access) const {
  static_assert(sizeof(Mfn) == sizeof(xen_pfn_t));
  const std::vector<xen_pfn_t> names(frames.begin(), frames.end());
  const int protection = access == Access::read ? PROT_READ : PROT_READ | PROT_WRITE;
  auto* memory = static_cast<xenforeignmemory_handle*>(memory_);
  // Without a place for per-page errors the call maps everything or fails.
  void* address =
      xenforeignmemory_map(memory, domid, protection, names.size(), names.data(), nullptr);
  if (address == nullptr) {
    return failed("map " + std::to_string(frames.size()) + " pages of domain " +
                  std::to_string(domid));
  }
  return Mapping{memory, static_cast<std::byte*>(address), frames.size()};
}

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

}  // namespace ppvmm::root
