#include "root/vitals_view.hpp"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstring>
#include <span>

namespace ppvmm::root {

bool plausible(const abi::Vitals& vitals) {
  return vitals.magic == abi::kVitalsMagic && vitals.version == abi::kVitalsVersion &&
         vitals.bytes == sizeof(abi::VitalsRegion);
}

std::string survivors_fault(const abi::VitalsRegion& region) {
  std::uint64_t all = 0;
  std::uint32_t used = 0;
  for (std::size_t i = 0; i < abi::kSurvivors; ++i) {
    const abi::Survivor& entry = region.survivors[i];
    if (entry.kind == abi::SurvivorKind::none) continue;
    ++used;
    all ^= entry.sum;
    if (entry.sum != abi::survivor_sum(entry, i)) {
      return "survivor " + std::to_string(i) + " fails its checksum";
    }
  }
  if (used != region.page.survivors_used) return "the number of survivors is wrong";
  if (all != region.page.survivors_sum) return "a survivor is missing or was added";
  return {};
}

std::string field_text(std::string_view field) {
  std::string text(field.substr(0, field.find('\0')));
  std::ranges::replace_if(
      text, [](char letter) { return std::isprint(static_cast<unsigned char>(letter)) == 0; }, '?');
  return text;
}

std::string_view name_of(abi::LifeState state) {
  switch (state) {
    case abi::LifeState::unborn:
      return "unborn";
    case abi::LifeState::booting:
      return "booting";
    case abi::LifeState::ready:
      return "ready";
    case abi::LifeState::stopping:
      return "stopping";
    case abi::LifeState::dead:
      return "dead";
    case abi::LifeState::lost:
      return "lost";
  }
  return "unknown";
}

std::string_view name_of(abi::FaultKind kind) {
  switch (kind) {
    case abi::FaultKind::none:
      return "none";
    case abi::FaultKind::trap:
      return "trap";
    case abi::FaultKind::panic:
      return "panic";
    case abi::FaultKind::out_of_memory:
      return "out of memory";
    case abi::FaultKind::stack_smashed:
      return "stack smashed";
    case abi::FaultKind::nested_trap:
      return "nested trap";
    case abi::FaultKind::hard:
      return "hard";
    case abi::FaultKind::corruption:
      return "corruption";
    case abi::FaultKind::hang:
      return "hang";
  }
  return "unknown";
}

Result<VitalsView> VitalsView::map(const Xen& xen, const Image& image, const BuiltDomain& built) {
  const std::size_t first = (image.note().vitals_va - image.virtual_base()) / kPageSize;
  if (image.note().vitals_bytes != sizeof(abi::VitalsRegion) ||
      first + abi::kVitalsPages > built.image_frames.size()) {
    return refused("the image's vitals region is not one of layout version " +
                   std::to_string(abi::kVitalsVersion));
  }
  auto mapping =
      xen.map(built.domid, std::span(built.image_frames).subspan(first, abi::kVitalsPages),
              Access::read_write);
  if (!mapping) return std::unexpected(mapping.error());
  return VitalsView(std::move(*mapping));
}

// The mapping is page-aligned and as large as a VitalsRegion (checked in map()).
abi::Vitals& VitalsView::live() const {
  return *reinterpret_cast<abi::Vitals*>(mapping_.bytes().data());
}

abi::Vitals VitalsView::page() const {
  abi::Vitals copy;
  std::memcpy(&copy, mapping_.bytes().data(), sizeof copy);
  return copy;
}

std::unique_ptr<abi::VitalsRegion> VitalsView::region() const {
  auto copy = std::make_unique<abi::VitalsRegion>();
  std::memcpy(copy.get(), mapping_.bytes().data(), sizeof *copy);
  return copy;
}

abi::LifeState VitalsView::state() const {
  return std::atomic_ref(live().state).load(std::memory_order_acquire);
}

std::uint32_t VitalsView::incarnation() const {
  return std::atomic_ref(live().incarnation).load(std::memory_order_acquire);
}

std::uint64_t VitalsView::notices_posted() const {
  return std::atomic_ref(live().notices_posted).load(std::memory_order_acquire);
}

void VitalsView::restore_header() {
  abi::Vitals& vitals = live();
  vitals.magic = abi::kVitalsMagic;
  vitals.version = abi::kVitalsVersion;
  vitals.bytes = sizeof(abi::VitalsRegion);
}

void VitalsView::order_words(std::string_view words) {
  auto& field = live().orders.words;
  const std::size_t length = std::min(words.size(), field.size() - 1);
  std::fill(std::copy_n(words.begin(), length, field.begin()), field.end(), '\0');
  std::atomic_thread_fence(std::memory_order_release);
}

void VitalsView::order_ping(std::uint32_t ping) {
  std::atomic_ref(live().orders.ping).store(ping, std::memory_order_release);
}

void VitalsView::record_end(abi::FaultKind kind, std::uint64_t rip) {
  abi::Vitals& vitals = live();
  abi::Fault fault{};
  fault.component = vitals.component;
  fault.rip = rip;
  fault.incarnation = vitals.incarnation;
  fault.kind = kind;
  vitals.fault = fault;
}

std::uint32_t VitalsView::order_command(std::uint32_t kind, std::uint64_t subject) {
  abi::Command& command = live().command;
  // Zero means that there was none yet.
  const std::uint32_t serial = command.serial == ~0U ? 1 : command.serial + 1;
  command.kind = kind;
  command.subject = subject;
  std::atomic_ref(command.serial).store(serial, std::memory_order_release);
  return serial;
}

void VitalsView::note_reboot(abi::FaultKind cause, std::uint64_t noticed_ns) {
  auto& orders = live().orders;
  orders.cause = cause;
  orders.noticed_ns = noticed_ns;
  orders.reboots = orders.reboots + 1;
}

}  // namespace ppvmm::root
