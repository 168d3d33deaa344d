#include "xen_clock.hpp"

#include <memory>

#include "protocol.hpp"

// The control interface is only declared for tools; the libraries' headers are plain C.
#define __XEN_TOOLS__ 1
extern "C" {
#include <xen/sysctl.h>
#include <xen/xen.h>
#include <xencall.h>
}

namespace ppvmm::lab {
namespace {

struct CloseXencall {
  void operator()(xencall_handle* handle) const { xencall_close(handle); }
};

}  // namespace

std::optional<XenMark> mark_xen_log() {
  const std::unique_ptr<xencall_handle, CloseXencall> xen(xencall_open(nullptr, 0));
  if (!xen) {
    return std::nullopt;
  }
  struct Buffer {
    xen_sysctl call;
    char key;
  };
  auto* buffer = static_cast<Buffer*>(xencall_alloc_buffer(xen.get(), sizeof(Buffer)));
  if (buffer == nullptr) {
    return std::nullopt;
  }
  buffer->key = 's';
  buffer->call.cmd = XEN_SYSCTL_debug_keys;
  buffer->call.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
  set_xen_guest_handle(buffer->call.u.debug_keys.keys, &buffer->key);
  const auto hypercall = [&] {
    return xencall1(xen.get(), __HYPERVISOR_sysctl, reinterpret_cast<std::uint64_t>(&buffer->call));
  };
  buffer->call.u.debug_keys.nr_keys = 0;
  hypercall();  // presses nothing: it only brings the path into the caches
  buffer->call.u.debug_keys.nr_keys = 1;
  XenMark mark{.before_ns = now_ns(), .after_ns = 0};
  const int failed = hypercall();
  mark.after_ns = now_ns();
  xencall_free_buffer(xen.get(), buffer);
  if (failed != 0) {
    return std::nullopt;
  }
  return mark;
}

}  // namespace ppvmm::lab
