#include "pci/channel.hpp"

#include <atomic>
#include <cstring>

namespace ppvmm::pci {

std::string_view text_of(Error error) {
  switch (error) {
    case Error::no_device:
      return "no such device";
    case Error::bad_offset:
      return "no such register";
    case Error::denied:
      return "not allowed";
    case Error::unsupported:
      return "not supported";
    case Error::failed:
      return "operation failed";
    case Error::timeout:
      return "the back-end does not answer";
    case Error::closed:
      return "the back-end has gone";
    case Error::store:
      return "XenStore lacks an entry";
    case Error::no_memory:
      return "no memory";
  }
  return "unknown error";
}

namespace {

Error error_of(std::int32_t number) {
  switch (number) {
    case XEN_PCI_ERR_dev_not_found:
    case -19:  // ENODEV, which pciback passes through
      return Error::no_device;
    case XEN_PCI_ERR_invalid_offset:
      return Error::bad_offset;
    case XEN_PCI_ERR_access_denied:
      return Error::denied;
    case XEN_PCI_ERR_not_implemented:
      return Error::unsupported;
    default:
      return Error::failed;
  }
}

std::uint32_t load(std::uint32_t& flags) {
  return std::atomic_ref{flags}.load(std::memory_order_acquire);
}

}  // namespace

void Channel::begin() {
  std::memset(page_, 0, sizeof *page_);
  std::atomic_ref{page_->flags}.store(XEN_PCIB_AERHANDLER, std::memory_order_release);
}

void Channel::submit(const xen_pci_op& operation) {
  std::memcpy(&page_->op, &operation, sizeof operation);
  std::atomic_ref{page_->flags}.fetch_or(XEN_PCIF_active, std::memory_order_acq_rel);
}

bool Channel::busy() const {
  return (load(page_->flags) & XEN_PCIF_active) != 0;
}

void Channel::withdraw() {
  std::atomic_ref{page_->flags}.fetch_and(~std::uint32_t{XEN_PCIF_active},
                                          std::memory_order_acq_rel);
}

std::expected<xen_pci_op, Error> Channel::result() const {
  xen_pci_op operation;
  std::memcpy(&operation, &page_->op, sizeof operation);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (operation.err != XEN_PCI_ERR_success) return std::unexpected(error_of(operation.err));
  return operation;
}

std::optional<Notice> Channel::notice() const {
  if ((load(page_->flags) & XEN_PCIB_active) == 0) return std::nullopt;
  xen_pcie_aer_op operation;
  std::memcpy(&operation, &page_->aer_op, sizeof operation);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  Notice notice{.kind = Notice::Kind::error_detected,
                .address = {operation.domain, operation.bus, operation.devfn}};
  switch (operation.cmd) {
    case XEN_PCI_OP_aer_mmio:
      notice.kind = Notice::Kind::mmio_enabled;
      break;
    case XEN_PCI_OP_aer_slotreset:
      notice.kind = Notice::Kind::slot_reset;
      break;
    case XEN_PCI_OP_aer_resume:
      notice.kind = Notice::Kind::resume;
      break;
    default:  // XEN_PCI_OP_aer_detected; anything unknown is taken as seriously
      break;
  }
  return notice;
}

void Channel::answer(Recovery recovery) {
  page_->aer_op.err = static_cast<std::int32_t>(recovery);
  std::atomic_ref{page_->flags}.fetch_and(~std::uint32_t{XEN_PCIB_active},
                                          std::memory_order_acq_rel);
}

}  // namespace ppvmm::pci
