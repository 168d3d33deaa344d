/// The vitals page of a running unikernel, mapped into root, and what it says.
///
/// Layout and protocol: abi/vitals.hpp, docs/vitals.md. The page is written by a component that may
/// be broken: everything is copied out once, checked, and only then used.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "abi/vitals.hpp"
#include "root/builder.hpp"
#include "root/failure.hpp"
#include "root/image.hpp"
#include "root/symbols.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

/// Is this a vitals page of a version we know?
[[nodiscard]] bool plausible(const abi::Vitals& vitals);

/// What is wrong with the survivors table; empty when it is intact.
[[nodiscard]] std::string survivors_fault(const abi::VitalsRegion& region);

/// Text of a fixed-size field that need not be terminated; unprintable bytes become '?'.
[[nodiscard]] std::string field_text(std::string_view field);

[[nodiscard]] std::string_view name_of(abi::LifeState state);
[[nodiscard]] std::string_view name_of(abi::FaultKind kind);

class VitalsView {
 public:
  [[nodiscard]] static Result<VitalsView> map(const Xen& xen, const Image& image,
                                              const BuiltDomain& built);

  /// The first page as it is now.
  [[nodiscard]] abi::Vitals page() const;
  /// The page and the survivors table. Large: once in a while only.
  [[nodiscard]] std::unique_ptr<abi::VitalsRegion> region() const;

  /// Cheap reads for a waiting loop.
  [[nodiscard]] abi::LifeState state() const;
  [[nodiscard]] std::uint32_t incarnation() const;
  [[nodiscard]] std::uint64_t notices_posted() const;

  /// Writes what stands at the head of every page of our version (magic, version, size), so that
  /// the rest can be read again. Only for a page that was plausible() before.
  void restore_header();

  /// Root's own fields of the page.
  void order_words(std::string_view words);
  void order_ping(std::uint32_t ping);
  /// Records an end that the unikernel could not record itself: kind `hard` or `hang`.
  void record_end(abi::FaultKind kind, std::uint64_t rip);
  /// Gives a command; its serial number. The caller notifies the supervisor port.
  std::uint32_t order_command(std::uint32_t kind, std::uint64_t subject);
  void note_reboot(abi::FaultKind cause, std::uint64_t noticed_ns);

 private:
  explicit VitalsView(Mapping mapping) : mapping_(std::move(mapping)) {}
  [[nodiscard]] abi::Vitals& live() const;

  Mapping mapping_;
};

}  // namespace ppvmm::root
