/// The page that pcifront and pciback share: one operation at a time in each direction. Pure.
/// Spec: io/pciif.h. The back-end is trusted no more than it must be: answers are read once.
#pragma once

#include <stdint.h>  // pciif.h needs the types but does not include them
#include <xen/io/pciif.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "pci/config.hpp"

namespace ppvmm::pci {

static_assert(sizeof(xen_msix_entry) == 4);
static_assert(sizeof(xen_pci_op) == 36 + SH_INFO_MAX_VEC * 4);
static_assert(offsetof(xen_pci_sharedinfo, op) == 4);
static_assert(sizeof(xen_pcie_aer_op) == 20);

/// Why an operation failed: what pciback says, and what can go wrong on the way.
enum class Error : std::uint8_t {
  no_device,    ///< No such function, or it is gone.
  bad_offset,   ///< No such register.
  denied,       ///< The back-end does not let us write that.
  unsupported,  ///< The back-end, or the device, cannot do that.
  failed,       ///< It tried and failed.
  timeout,      ///< No answer in time.
  closed,       ///< The back-end has gone, or never came.
  store,        ///< XenStore lacks what it should hold.
  no_memory,
};
[[nodiscard]] std::string_view text_of(Error error);

/// What the back-end tells of its own accord (PCI Express advanced error reporting).
struct Notice {
  enum class Kind : std::uint8_t { error_detected, mmio_enabled, slot_reset, resume } kind{};
  Address address{};
};

/// What a driver answers to an error notice (Linux' pci_ers_result, which crosses as a number).
enum class Recovery : std::int32_t {
  none = 1,         ///< Not our matter.
  can_recover = 2,  ///< Go on: the device works for us.
  need_reset = 3,   ///< Reset the slot.
  disconnect = 4,   ///< Give it up.
  recovered = 5,
};

class Channel {
 public:
  explicit Channel(xen_pci_sharedinfo& page) : page_(&page) {}

  /// Empties the page and says that we take error notices. First life only.
  void begin();

  /// Puts an operation on the page; notify the back-end afterwards. Not while busy().
  void submit(const xen_pci_op& operation);
  /// The back-end has not answered yet.
  [[nodiscard]] bool busy() const;
  /// Takes the operation back after a time-out, so that the next may be submitted.
  void withdraw();
  /// The answer to the last operation: its error, or the operation as the back-end left it.
  [[nodiscard]] std::expected<xen_pci_op, Error> result() const;

  /// An error notice that waits for answer(), if any.
  [[nodiscard]] std::optional<Notice> notice() const;
  /// Answers it; notify the back-end afterwards.
  void answer(Recovery recovery);

 private:
  xen_pci_sharedinfo* page_;
};

}  // namespace ppvmm::pci
