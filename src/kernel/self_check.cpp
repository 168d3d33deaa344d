#include "kernel/self_check.hpp"

#include <array>
#include <memory>
#include <new>
#include <string_view>

#include "abi/image_note.hpp"
#include "kernel/layout.hpp"
#include "kernel/memory.hpp"
#include "kernel/panic.hpp"
#include "kernel/text.hpp"
#include "kernel/time.hpp"
#include "kernel/traps.hpp"
#include "kernel/vitals.hpp"

extern "C" const ppvmm::abi::ImageNote ppvmm_image_note;

namespace ppvmm::kernel {
namespace {

/// A page's worth of data that begins with a return instruction: harmless if it could be executed.
std::array<std::uint8_t, 16> return_instruction{0xC3};

bool text_is_not_writable() {
  return traps::write_traps(address_of(&ppvmm_text_start[0]), 0xCC);
}

bool rodata_is_not_writable() {
  return traps::write_traps(address_of(&ppvmm_image_note), 0);
}

bool data_is_not_executable() {
  return traps::call_traps(address_of(return_instruction.data()));
}

bool null_is_not_mapped() {
  return traps::read_traps(0) && traps::call_traps(0);
}

bool guards_are_not_mapped() {
  return traps::read_traps(address_of(&ppvmm_main_guard[0]) + kPage - 1) &&
         traps::read_traps(address_of(&ppvmm_trap_guard[0]) + kPage - 1) &&
         traps::read_traps(address_of(&ppvmm_nested_guard[0]) + kPage - 1) &&
         traps::read_traps(address_of(&ppvmm_contained_guard[0]) + kPage - 1) &&
         traps::read_traps(address_of(&ppvmm_inner_guard[0]) + kPage - 1) &&
         traps::read_traps(address_of(&ppvmm_top_guard[0]));
}

bool what_the_builder_wrote_is_not_writable() {
  const abi::Origin& origin = vitals::page().origin;
  return traps::write_traps(origin.p2m_va, 0) &&
         traps::write_traps(origin.p2m_va + (origin.nr_pages - 1) * sizeof(std::uint64_t), 0) &&
         traps::write_traps(origin.start_info_va, 0);
}

bool heap_gives_and_takes() {
  const auto before = memory::statistics();
  const std::unique_ptr<std::uint64_t> small(new (std::nothrow) std::uint64_t(1));
  std::byte* const pages = memory::take_pages(3);
  if (small == nullptr || pages == nullptr) return false;
  memory::release_pages(pages);
  return memory::statistics().in_use == before.in_use + kSlabSizes.front();
}

bool clock_moves() {
  const Nanoseconds first = time::now();
  for (int i = 0; i < 1'000'000; ++i) {
    if (time::now() > first) return true;
  }
  return false;
}

bool canary_is_in_place() {
  std::uint64_t canary = 0;
  asm volatile("movq %%fs:0x28, %0" : "=r"(canary));
  return canary != 0 && (canary & 0xFF) == 0;
}

bool note_agrees_with_image() {
  const abi::ImageNote& note = ppvmm_image_note;
  return note.version == abi::kImageNoteVersion && note.bytes == sizeof(abi::ImageNote) &&
         note.vitals_va == address_of(&ppvmm_vitals) &&
         note.vitals_bytes == sizeof(abi::VitalsRegion) &&
         note.reentry_va == reinterpret_cast<Address>(&ppvmm_reentry) &&
         note.ranges[0].action == abi::RangeAction::restore &&
         note.ranges[4].action == abi::RangeAction::keep;
}

struct Check {
  std::string_view name;
  bool (*passes)();
};

/// Bit n of Vitals::self_check is entry n.
constexpr std::array kChecks{
    Check{"note agrees with image", note_agrees_with_image},
    Check{"canary is in place", canary_is_in_place},
    Check{"null is not mapped", null_is_not_mapped},
    Check{"text is not writable", text_is_not_writable},
    Check{"read-only data is not writable", rodata_is_not_writable},
    Check{"data is not executable", data_is_not_executable},
    Check{"guard pages are not mapped", guards_are_not_mapped},
    Check{"what the domain builder wrote is not writable", what_the_builder_wrote_is_not_writable},
    Check{"heap gives and takes", heap_gives_and_takes},
    Check{"clock moves", clock_moves},
};

}  // namespace

void self_check() {
  vitals::page().self_check = 0;
  for (std::size_t i = 0; i < kChecks.size(); ++i) {
    if (!kChecks[i].passes()) panic(Text<100>("self-check failed: ", kChecks[i].name).view());
    vitals::page().self_check |= std::uint64_t{1} << i;
  }
}

}  // namespace ppvmm::kernel
