/// From the first C++ instruction to the image's main function, on the first life and on later
/// ones.
#include <algorithm>
#include <array>
#include <cstddef>

#include "abi/hypercall.hpp"
#include "abi/image_note.hpp"
#include "kernel/console.hpp"
#include "kernel/events.hpp"
#include "kernel/grants.hpp"
#include "kernel/image.hpp"
#include "kernel/layout.hpp"
#include "kernel/memory.hpp"
#include "kernel/paging.hpp"
#include "kernel/panic.hpp"
#include "kernel/self_check.hpp"
#include "kernel/start.hpp"
#include "kernel/time.hpp"
#include "kernel/traps.hpp"
#include "kernel/vitals.hpp"

extern "C" {
extern const ppvmm::abi::ImageNote ppvmm_image_note;
[[noreturn]] void ppvmm_begin(const start_info_t* start_info, ppvmm::kernel::Address builder_stack);
[[noreturn]] void __stack_chk_fail();
}

namespace ppvmm::kernel {
namespace {

/// What FS points to. The compiler reads the stack protector's canary at %fs:0x28 (System V ABI,
/// thread control block); nothing else of a thread control block is used.
struct ControlBlock {
  ControlBlock* self;
  std::array<std::uint64_t, 4> unused;
  std::uint64_t canary;
};
static_assert(offsetof(ControlBlock, canary) == 0x28);
ControlBlock control_block{};

/// Canaries differ between domains and between incarnations. The lowest byte is zero, so that a
/// copied string ends before it.
[[gnu::no_stack_protector]] std::uint64_t make_canary(std::uint64_t seed) {
  return abi::mix(abi::mix(seed, __builtin_ia32_rdtsc()), 0x63616E617279u) & ~std::uint64_t{0xFF};
}

/// Everything that later lives cannot ask the domain builder again.
void note_origin(const start_info_t& info, Address builder_stack) {
  abi::Origin& origin = vitals::page().origin;
  origin.start_info_va = address_of(&info);
  origin.shared_info_maddr = info.shared_info;
  origin.nr_pages = info.nr_pages;
  origin.p2m_va = info.mfn_list;
  origin.page_tables_va = info.pt_base;
  origin.console_mfn = info.console.domU.mfn;
  origin.console_port = info.console.domU.evtchn;
  origin.store_mfn = info.store_mfn;
  origin.store_port = info.store_evtchn;
  origin.flags = info.flags;
  origin.canary_seed = control_block.canary;
  const char* const line = reinterpret_cast<const char*>(&info.cmd_line[0]);
  std::size_t length = 0;
  while (length < origin.command_line.size() - 1 && line[length] != '\0')
    ++length;
  std::copy_n(line, length, origin.command_line.begin());

  paging::map_shared_info(origin.shared_info_maddr);
  // The builder's stack is its last element (xen.h, start-of-day memory layout): all frames above
  // are free.
  const std::uint64_t free_frame = frame_of(builder_stack + kPage - 1);
  origin.first_heap_pfn = paging::build(origin, free_frame);
  origin.first_entry_ns = time::now();
  origin.image_sum = image::sum();
  origin.sum = abi::origin_sum(origin);
}

void first_life(const start_info_t& info, Address builder_stack) {
  abi::Vitals& page = vitals::page();
  page.magic = abi::kVitalsMagic;
  page.version = abi::kVitalsVersion;
  page.bytes = sizeof(abi::VitalsRegion);
  page.incarnation = 1;
  page.state = abi::LifeState::booting;
  note_origin(info, builder_stack);
  page.entry_ns = page.origin.first_entry_ns;
  page.reentry_stack = ppvmm_image_note.reentry_stack;
  page.reentry_va = ppvmm_image_note.reentry_va;
}

/// What the last incarnation left is believed only as far as its checksums say.
void next_life() {
  abi::Vitals& page = vitals::page();
  const bool whole = page.magic == abi::kVitalsMagic && page.version == abi::kVitalsVersion &&
                     page.origin.sum == abi::origin_sum(page.origin) &&
                     vitals::survivors().verify().good();
  if (!whole) {
    page.state = abi::LifeState::lost;
    for (;;)
      abi::sched_shutdown(SHUTDOWN_crash);
  }
  page.entry_ns = time::now();
  page.ready_ns = 0;
  ++page.incarnation;
  page.state = abi::LifeState::booting;
  page.component = 0;
  page.asleep = 0;
  page.verdict = abi::Verdict::none;
  page.progress = {};
  page.counts = {};
  page.laps = {};
}

void run_constructors() {
  for (auto constructor = &ppvmm_init_start[0]; constructor != &ppvmm_init_end[0]; ++constructor) {
    (*constructor)();
  }
}

/// Before anything is granted or given to a device.
void mend_frame_numbers(const abi::Origin& origin) {
  if (const std::uint64_t mended = paging::mend_machine_frames(origin); mended != 0) {
    log(Level::warning, mended, " frame numbers were damaged, and are written anew");
  }
}

[[noreturn]] void live(bool reborn) {
  abi::Vitals& page = vitals::page();
  (void)vitals::component("kernel");
  memory::set_up();
  console::set_up();
  if (reborn) mend_frame_numbers(page.origin);
  events::set_up(reborn);
  time::set_up();
  vitals::lap("set up");
  grants::set_up(reborn);
  vitals::lap("grants");
  events::set_up_supervisor(reborn);
  run_constructors();

  const Start start{.reborn = reborn,
                    .incarnation = page.incarnation,
                    .command_line = page.origin.command_line.data(),
                    .memory_pages = page.origin.nr_pages,
                    .flags = page.origin.flags,
                    .store_mfn = page.origin.store_mfn,
                    .store_port = page.origin.store_port};
  if (const auto level = find_number(start.command_line, "loglevel")) {
    console::set_threshold(static_cast<Level>(std::min<std::uint64_t>(*level, 3)));
  }
  self_check();
  vitals::lap("checked");
  ppvmm_main(start);
  power_off();
}

}  // namespace
}  // namespace ppvmm::kernel

/// From start.S, on the main stack. `start_info` is null at a re-entry.
[[gnu::no_stack_protector]] void ppvmm_begin(const start_info_t* start_info,
                                             ppvmm::kernel::Address builder_stack) {
  using namespace ppvmm;
  using namespace ppvmm::kernel;
  control_block.self = &control_block;
  control_block.canary = make_canary(vitals::page().origin.canary_seed);
  // From here on functions with a protected frame may be called.
  if (abi::set_segment_base(SEGBASE_FS, address_of(&control_block)) != 0) {
    for (;;)
      abi::sched_shutdown(SHUTDOWN_crash);
  }
  traps::set_up();
  if (start_info != nullptr) {
    first_life(*start_info, builder_stack);
  } else {
    next_life();
  }
  live(start_info == nullptr);
}

void __stack_chk_fail() {
  ppvmm::kernel::panic("stack smashed", ppvmm::abi::FaultKind::stack_smashed);
}
