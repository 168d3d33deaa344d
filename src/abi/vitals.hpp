/// The vitals page: what a unikernel shows to root, and what it keeps for its next incarnation.
///
/// Layout version 3, shared by the unikernel runtime (src/kernel) and the dom0-side tools
/// (src/root). docs/vitals.md explains the protocol; the address comes from the image's own ELF
/// note (abi/image_note.hpp). Little endian, x86-64. The region is kVitalsPages pages: one page of
/// `Vitals`, then the survivors table.
///
/// Everything in here was written by a component that may be broken: root checks before it uses.
/// Scalars up to 64 bits are written in one store and may be read at any time; the fault record is
/// complete when `Fault::kind` is not zero.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "abi/checksum.hpp"

namespace ppvmm::abi {

inline constexpr std::uint64_t kVitalsMagic = 0x736C617469567050u;  // "PpVitals"
inline constexpr std::uint32_t kVitalsVersion = 3;
inline constexpr std::size_t kPageBytes = 4096;
/// One page of Vitals and sixteen of survivors.
inline constexpr std::size_t kVitalsPages = 17;

/// Where a unikernel stands in its life.
enum class LifeState : std::uint32_t {
  unborn = 0,    ///< Built, never entered.
  booting = 1,   ///< Between entry and ready.
  ready = 2,     ///< Serving.
  stopping = 3,  ///< Ended by itself, cleanly.
  dead = 4,      ///< Fault record filled; SCHEDOP_shutdown(crash) follows.
  lost = 5,      ///< Re-entry refused: what had to survive did not. Only a rebuild helps.
};

/// Verdict of a test image.
enum class Verdict : std::uint32_t { none = 0, passed = 1, failed = 2 };

/// What kind of end a fault record tells of.
enum class FaultKind : std::uint32_t {
  none = 0,
  trap = 1,           ///< An exception; `vector` and `error_code` say which.
  panic = 2,          ///< The code gave up: a broken invariant, a standard-library precondition.
  out_of_memory = 3,  ///< A plain operator new found nothing.
  stack_smashed = 4,  ///< The stack protector's canary was overwritten.
  nested_trap = 5,    ///< A trap while handling a trap: registers are those of the second one.
  hard = 6,           ///< Written by root: Xen crashed the domain (for example a stack overflow).
  hang = 7,           ///< Written by root: stopped because it made no progress.
  corruption = 8,     ///< Its own memory is not what it wrote; stopped before that left it.
};

/// Progress of one sub-component. `count` moves with each piece of work done, so a busy component
/// needs no ping; `waiting` is how much work it knows of but has not done.
struct Progress {
  std::array<char, 16> name;  ///< Zero-terminated; empty: slot unused.
  std::uint64_t count;
  std::uint64_t waiting;
};
static_assert(sizeof(Progress) == 32);

inline constexpr std::size_t kProgressSlots = 16;
inline constexpr std::size_t kBacktraceDepth = 24;

/// How an incarnation ended. Filled by the trap handler (or by root for `hard` and `hang`).
struct Fault {
  FaultKind kind;            ///< Written last.
  std::uint32_t component;   ///< Index into Vitals::progress of what was running.
  std::uint32_t vector;      ///< Exception number, for trap and nested_trap.
  std::uint32_t error_code;  ///< As the processor gave it; 0 where it gives none.
  std::uint64_t rip;
  std::uint64_t rsp;
  std::uint64_t rflags;
  std::uint64_t cr2;                                     ///< Address that faulted, for vector 14.
  std::array<std::uint64_t, 15> registers;               ///< rax rbx rcx rdx rsi rdi rbp r8 .. r15.
  std::uint64_t time_ns;                                 ///< Xen system time of the fault.
  std::uint32_t incarnation;                             ///< Which life this ended.
  std::uint32_t depth;                                   ///< Valid entries of `backtrace`.
  std::array<std::uint64_t, kBacktraceDepth> backtrace;  ///< Return addresses, innermost first.
  std::array<char, 104> message;                         ///< Zero-terminated; may be empty.
};
static_assert(sizeof(Fault) == 16 + 32 + 120 + 16 + 192 + 104);
static_assert(sizeof(Fault) == 480);

/// Counters of the runtime itself.
struct Counts {
  std::uint64_t events;        ///< Event-channel notifications handed to handlers.
  std::uint64_t sleeps;        ///< Times the vCPU was given back to Xen for want of work.
  std::uint64_t timers;        ///< Software timers that fired.
  std::uint64_t log_lines;     ///< Lines written to the console ring.
  std::uint64_t log_dropped;   ///< Lines dropped because the ring was full.
  std::uint64_t heap_bytes;    ///< Heap bytes in use now (rounded to size classes).
  std::uint64_t heap_peak;     ///< Highest heap_bytes of this incarnation.
  std::uint64_t heap_refused;  ///< Allocations refused.
};
static_assert(sizeof(Counts) == 64);

/// A moment on the way from entry to serving, for whoever wants to know where a rebirth's time
/// goes.
struct Lap {
  std::array<char, 8> name;  ///< Not zero-terminated if it is full; empty: slot unused.
  std::uint64_t time_ns;     ///< Xen system time.
};
static_assert(sizeof(Lap) == 16);
inline constexpr std::size_t kLaps = 20;

/// Written by root only; the runtime reads `ping` and leaves the rest to the image.
struct Orders {
  std::uint32_t ping;           ///< Raised by root, then the supervisor port is notified.
  FaultKind cause;              ///< Why root made the last microreboot; none on the first life.
  std::uint64_t noticed_ns;     ///< Xen system time at which root noticed the fault.
  std::uint64_t reboots;        ///< Microreboots root has made of this domain.
  std::array<char, 104> words;  ///< Free text for the image, zero-terminated (tests, drills).
};
static_assert(sizeof(Orders) == 128);

/// One thing a unikernel tells root, without waiting. What `kind` and the rest mean is the image's
/// (for XenStore_uk: abi/xenstore_set.hpp).
struct Notice {
  std::uint64_t time_ns;  ///< Xen system time.
  std::uint32_t kind;
  std::uint32_t subject;
  std::uint64_t value;
  std::uint64_t number;  ///< 1, 2, 3 ... over all lives; written last. Entry = number % kNotices.
};
static_assert(sizeof(Notice) == 32);
/// Root reads them when it is notified; who is slower than this loses the oldest, and sees a gap.
inline constexpr std::size_t kNotices = 32;

/// One thing root tells a unikernel to do, one at a time. Written by root, `serial` last, and then
/// the supervisor port is notified. It stays in force over a rebirth, so it must be idempotent.
struct Command {
  std::uint32_t serial;  ///< Raised by root for each command; 0: none yet.
  std::uint32_t kind;    ///< Meaning: the image's.
  std::uint64_t subject;
};
static_assert(sizeof(Command) == 16);

/// What the first life learned from the domain builder and later lives cannot ask again. Written
/// once, checked at each re-entry.
struct Origin {
  std::uint64_t start_info_va;
  std::uint64_t shared_info_maddr;
  std::uint64_t nr_pages;        ///< Memory of the domain, in pages.
  std::uint64_t p2m_va;          ///< Table pseudo-physical frame -> machine frame.
  std::uint64_t page_tables_va;  ///< Top-level page table.
  std::uint64_t first_heap_pfn;  ///< Frames below belong to image, tables and start-of-day data.
  std::uint64_t console_mfn;
  std::uint64_t store_mfn;
  std::uint32_t console_port;
  std::uint32_t store_port;
  std::uint64_t flags;  ///< start_info flags (SIF_*).
  std::uint64_t canary_seed;
  std::uint64_t first_entry_ns;  ///< Xen system time of the first entry of this domain.
  std::uint64_t image_sum;       ///< Of code and constants at the first entry.
  std::array<char, 256> command_line;
  std::uint64_t sum;  ///< origin_sum().
};
static_assert(sizeof(Origin) == 368);

/// Kinds of things that outlive a microreboot.
enum class SurvivorKind : std::uint16_t {
  none = 0,
  pages = 1,    ///< `id` first pseudo-physical frame, `peer` how many, `where` their address.
  port = 2,     ///< `id` own port, `peer` the remote's port, `where` VIRQ + 1 or 0.
  mapping = 3,  ///< Grant mapped: `id` slot, `peer` grant reference, `where` address.
  granted = 4,  ///< Grant given: `id` grant reference, `peer` flags, `where` frame.
  value = 5,    ///< `where` holds a number that only the owner understands.
  /// A run of grants mapped page by page as they are needed: `id` first slot of the grant window,
  /// `peer` how many, `where` first reference.
  mapped_run = 6,
  /// A run of our own pages granted: `id` first reference, `peer` how many, `where` first frame.
  granted_run = 7,
};

/// One survivor. The owner finds it again by (kind, tag).
struct Survivor {
  SurvivorKind kind;
  std::uint16_t domid;  ///< Peer domain, where the kind has one.
  std::uint32_t tag;    ///< Chosen by the owner, unique per kind.
  std::uint32_t id;
  std::uint32_t peer;
  std::uint64_t where;
  std::uint64_t sum;  ///< survivor_sum() for its index; 0 in an unused entry.
};
static_assert(sizeof(Survivor) == 32);

inline constexpr std::size_t kSurvivors = (kVitalsPages - 1) * kPageBytes / sizeof(Survivor);

/// First page of the region.
struct Vitals {
  // Offset 0: who and where.
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t bytes;        ///< Size of the whole region.
  std::uint32_t incarnation;  ///< 1 on the first life, raised at each entry.
  LifeState state;
  std::uint64_t reentry_va;  ///< Same as in the ELF note; 0 until re-entry is possible.
  std::uint64_t reentry_stack;
  std::uint64_t entry_ns;         ///< Xen system time this incarnation began.
  std::uint64_t ready_ns;         ///< ... and became ready; 0 before.
  std::uint32_t supervisor_port;  ///< Unbound port for domain 0; 0: none yet.
  std::uint32_t pong;             ///< Last Orders::ping seen by the event loop.
  std::uint32_t asleep;           ///< 1 while waiting for events in Xen: silent but not hung.
  std::uint32_t component;        ///< Index into `progress` of what runs now.
  Verdict verdict;
  std::uint32_t reserved0;
  std::uint64_t self_check;  ///< Bit n set: boot-time check n passed (docs/vitals.md).
  std::uint64_t reserved1[5];
  // Offset 128.
  Counts counts;
  std::uint64_t reserved2[8];
  // Offset 256.
  std::array<Progress, kProgressSlots> progress;
  // Offset 768: the latest fault of any incarnation; not cleared at re-entry.
  Fault fault;
  std::uint64_t reserved3[4];
  // Offset 1280.
  Orders orders;
  // Offset 1408.
  Origin origin;
  // Offset 1776: survivors table.
  std::uint32_t survivors_used;
  std::uint32_t survivor_in_work;  ///< Index + 1 of an entry being rewritten; 0: none.
  std::uint64_t survivors_sum;     ///< XOR of the entries' sums.
  // Offset 1792: root's command, and the unikernel's answer.
  Command command;
  std::uint32_t command_done;    ///< Serial of the last command carried out.
  std::uint32_t command_result;  ///< 0: done; else why not, as the image defines it.
  // Offset 1816.
  std::uint64_t notices_posted;  ///< Number of the newest notice.
  std::array<Notice, kNotices> notices;
  // Offset 2848: of this incarnation, in order.
  std::array<Lap, kLaps> laps;
  std::uint64_t reserved4[116];
};
static_assert(offsetof(Vitals, counts) == 128);
static_assert(offsetof(Vitals, progress) == 256);
static_assert(offsetof(Vitals, fault) == 768);
static_assert(offsetof(Vitals, orders) == 1280);
static_assert(offsetof(Vitals, origin) == 1408);
static_assert(offsetof(Vitals, survivors_used) == 1776);
static_assert(offsetof(Vitals, command) == 1792);
static_assert(offsetof(Vitals, notices_posted) == 1816);
static_assert(offsetof(Vitals, laps) == 2848);
static_assert(sizeof(Vitals) == kPageBytes);

/// The whole region as it lies in memory.
struct VitalsRegion {
  Vitals page;
  std::array<Survivor, kSurvivors> survivors;
};
static_assert(sizeof(VitalsRegion) == kVitalsPages * kPageBytes);

/// Checksum of a survivor at its place in the table: an entry copied elsewhere is not valid there.
constexpr std::uint64_t survivor_sum(const Survivor& entry, std::size_t index) {
  const std::uint64_t head = static_cast<std::uint64_t>(entry.kind) |
                             static_cast<std::uint64_t>(entry.domid) << 16 |
                             static_cast<std::uint64_t>(entry.tag) << 32;
  const std::uint64_t ids =
      static_cast<std::uint64_t>(entry.id) | static_cast<std::uint64_t>(entry.peer) << 32;
  return checksum({index, head, ids, entry.where});
}

/// Checksum of Origin without its `sum`.
constexpr std::uint64_t origin_sum(const Origin& origin) {
  std::uint64_t state =
      checksum({origin.start_info_va, origin.shared_info_maddr, origin.nr_pages, origin.p2m_va,
                origin.page_tables_va, origin.first_heap_pfn, origin.console_mfn, origin.store_mfn,
                static_cast<std::uint64_t>(origin.console_port) << 32 | origin.store_port,
                origin.flags, origin.canary_seed, origin.first_entry_ns, origin.image_sum});
  for (const char letter : origin.command_line) {
    state = mix(state, static_cast<unsigned char>(letter));
  }
  return state;
}

}  // namespace ppvmm::abi
