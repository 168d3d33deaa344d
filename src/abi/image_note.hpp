/// The ELF note by which an image tells root where its vitals are and how to re-enter it.
///
/// Note name "PpVMM", type kImageNoteType, descriptor `ImageNote`. It lies in the same PT_NOTE
/// segment as Xen's own notes. The addresses are virtual ones of the image; a unikernel maps all
/// its memory linearly, so pseudo-physical frame = (address - virt_base) / 4096 for each of them.
///
/// Microreboot contract (docs/vitals.md): with the domain paused, root walks `ranges` and restores,
/// zeroes or keeps each, then sets RIP = reentry_va, RSP = reentry_stack, unpauses and notifies the
/// supervisor port.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ppvmm::abi {

inline constexpr std::array<char, 6> kImageNoteName{'P', 'p', 'V', 'M', 'M', '\0'};
inline constexpr std::uint32_t kImageNoteType = 1;
inline constexpr std::uint32_t kImageNoteVersion = 1;

/// What root does with a range of the image at a microreboot.
enum class RangeAction : std::uint32_t {
  none = 0,     ///< Slot unused.
  restore = 1,  ///< Copy from the image file's segment that covers the range.
  zero = 2,     ///< Fill with zeroes.
  keep = 3,     ///< Leave as it is: vitals, survivors, stacks.
};

/// How the running image maps the range; `restore` ranges that are not writable are also what root
/// hashes to find wild writes.
enum class RangeAccess : std::uint32_t { read_execute = 1, read_only = 2, read_write = 3 };

struct ImageRange {
  std::uint64_t va;     ///< Page-aligned.
  std::uint64_t bytes;  ///< Multiple of the page size.
  RangeAction action;
  RangeAccess access;
};
static_assert(sizeof(ImageRange) == 24);

struct ImageNote {
  std::uint32_t version;
  std::uint32_t bytes;  ///< sizeof(ImageNote) of the version.
  std::uint64_t virt_base;
  std::uint64_t vitals_va;
  std::uint64_t vitals_bytes;
  std::uint64_t reentry_va;
  std::uint64_t reentry_stack;  ///< Initial RSP, 16-byte aligned.
  std::array<ImageRange, 6> ranges;
};
static_assert(sizeof(ImageNote) == 48 + 6 * 24);

}  // namespace ppvmm::abi
