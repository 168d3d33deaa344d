/// All memory of a running unikernel, read and written from dom0 by the addresses that the
/// unikernel itself uses, with nothing asked of it: its page tables are walked from CR3.
///
/// Interface: AMD64 Architecture Programmer's Manual vol. 2, 5.3 (long-mode page translation); in a
/// PV domain the tables hold machine frames (public/arch-x86/xen-x86_64.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "root/failure.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

/// A stretch of a unikernel's addresses.
struct Stretch {
  std::uint64_t va{};
  std::uint64_t bytes{};
  bool operator==(const Stretch&) const = default;
};

class GuestMemory {
 public:
  /// Where a page is and whether the unikernel itself may write it.
  struct Page {
    Mfn frame{};
    bool writable{};
  };

  /// Reads CR3 of vCPU 0. What is mapped here while the domain is destroyed keeps it from ending:
  /// let go of the object first.
  [[nodiscard]] static Result<GuestMemory> open(const Xen& xen, DomId domid);

  /// The page behind an address, or nothing when the unikernel maps none there.
  [[nodiscard]] std::optional<Page> page(std::uint64_t va);

  /// Copies out. Fails when a page is not mapped or does not belong to the domain.
  [[nodiscard]] Result<void> read(std::uint64_t va, std::span<std::byte> out);
  /// Copies in, whatever the unikernel's own access is. Page tables cannot be written: Xen maps
  /// them for nobody.
  [[nodiscard]] Result<void> write(std::uint64_t va, std::span<const std::byte> bytes);

  /// Shows all that lies in `stretches` (whole pages), in pieces of many pages. Pages that belong
  /// to other domains are left out. The bytes are gone when `see` returns.
  void visit(std::span<const Stretch> stretches,
             const std::function<void(std::uint64_t va, std::span<const std::byte>)>& see);

  /// The parts of [va, va + bytes) that are mapped (and, if asked, writable by the unikernel).
  [[nodiscard]] std::vector<Stretch> mapped(const Stretch& range, bool writable_only);

 private:
  GuestMemory(const Xen& xen, DomId domid, Mfn top) : xen_(&xen), domid_(domid), top_(top) {}
  [[nodiscard]] const std::uint64_t* table(Mfn frame);

  const Xen* xen_;
  DomId domid_;
  Mfn top_;
  std::map<Mfn, Mapping> tables_;  // page tables already mapped
};

}  // namespace ppvmm::root
