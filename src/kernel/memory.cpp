#include "kernel/memory.hpp"

#include <algorithm>
#include <memory>
#include <new>

#include "kernel/layout.hpp"
#include "kernel/panic.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::kernel::memory {
namespace {

// Built in place by set_up(), never destroyed: plain storage, so that no constructor order matters.
alignas(Frames) std::byte frames_storage[sizeof(Frames)];
alignas(Slabs) std::byte slabs_storage[sizeof(Slabs)];
std::uint64_t total_bytes = 0;
volatile bool changing = false;

/// The heap's lists are half changed while one of these lives.
class Changing {
 public:
  Changing() { changing = true; }
  ~Changing() { changing = false; }
  Changing(const Changing&) = delete;
  Changing& operator=(const Changing&) = delete;
};

Frames& frames() {
  return *std::launder(reinterpret_cast<Frames*>(frames_storage));
}
Slabs& slabs() {
  return *std::launder(reinterpret_cast<Slabs*>(slabs_storage));
}

std::byte* page_address(Frame frame) {
  return at(frame_address(frame));
}

void count_given(std::uint64_t bytes) {
  auto& counts = vitals::page().counts;
  counts.heap_bytes += bytes;
  counts.heap_peak = std::max(counts.heap_peak, counts.heap_bytes);
}

void count_back(std::uint64_t bytes) {
  vitals::page().counts.heap_bytes -= bytes;
}

Frame frame_number(const void* pointer) {
  const Address address = address_of(pointer);
  if (address < base()) return kNoFrame;
  const std::uint64_t frame = frame_of(address);
  return frame < frames().info().size() ? static_cast<Frame>(frame) : kNoFrame;
}

bool release_object(void* object) {
  const Changing now;
  return slabs().release(object);
}

bool release_frames(Frame first) {
  const Changing now;
  return frames().release(first);
}

std::optional<Frame> take_frames(Frame count) {
  const Changing now;
  return frames().take(count);
}

void* take_object(std::size_t size_class) {
  const Changing now;
  return slabs().take(size_class);
}

/// Null if there is not enough memory.
void* allocate(std::size_t bytes, std::size_t alignment) {
  // A class whose size is a multiple of the alignment has all its objects aligned: pages are.
  if (bytes <= kLargestSlabObject) {
    std::size_t size_class = slab_class(bytes);
    while (size_class < kSlabSizes.size() && kSlabSizes[size_class] % alignment != 0)
      ++size_class;
    if (size_class < kSlabSizes.size()) {
      void* const object = take_object(size_class);
      if (object != nullptr) {
        count_given(kSlabSizes[size_class]);
        return object;
      }
      ++vitals::page().counts.heap_refused;
      return nullptr;
    }
  }
  if (alignment > kPage || bytes > total_bytes) {
    ++vitals::page().counts.heap_refused;
    return nullptr;
  }
  return take_pages((bytes + kPage - 1) / kPage);
}

void give_back(void* pointer) {
  if (pointer == nullptr) return;
  const Frame frame = frame_number(pointer);
  if (frame == kNoFrame) panic("delete of an address that is no memory of the heap");
  const FrameInfo& info = frames().info()[frame];
  if (info.use == FrameUse::slab) {
    const std::size_t size = kSlabSizes[info.order];
    if (!release_object(pointer)) panic("delete of something that was not allocated");
    count_back(size);
    return;
  }
  release_pages(static_cast<std::byte*>(pointer));
}

void* allocate_or_die(std::size_t bytes, std::size_t alignment) {
  void* const memory = allocate(bytes, alignment);
  if (memory == nullptr) panic("out of memory", abi::FaultKind::out_of_memory);
  return memory;
}

}  // namespace

bool busy() {
  return changing;
}

std::uint64_t available() {
  return std::uint64_t{frames().free_frames()} * kPage;
}

Statistics statistics() {
  const auto& counts = vitals::page().counts;
  std::uint64_t objects = 0;
  for (std::size_t i = 0; i < kSlabSizes.size(); ++i)
    objects += slabs().objects(i);
  return {.total = total_bytes,
          .available = available(),
          .in_use = counts.heap_bytes,
          .peak = counts.heap_peak,
          .refused = counts.heap_refused,
          .objects = objects,
          .slab_bytes = slabs().pages() * kPage};
}

std::byte* take_pages(std::size_t count) {
  const auto first = take_frames(static_cast<Frame>(std::min<std::size_t>(count, kNoFrame)));
  if (!first) {
    ++vitals::page().counts.heap_refused;
    return nullptr;
  }
  count_given(count * kPage);
  return page_address(*first);
}

void release_pages(std::byte* pages) {
  const Frame frame = frame_number(pages);
  const Frame count = frame == kNoFrame ? 0 : frames().run_length(frame);
  if (count == 0 || address_of(pages) % kPage != 0 || !release_frames(frame)) {
    panic("pages given back that were not taken");
  }
  count_back(std::uint64_t{count} * kPage);
}

bool survive(std::byte* pages, std::uint32_t tag) {
  const Frame frame = frame_number(pages);
  const Frame count = frame == kNoFrame ? 0 : frames().run_length(frame);
  if (count == 0) return false;
  return vitals::survivors().add({.kind = abi::SurvivorKind::pages,
                                  .domid = 0,
                                  .tag = tag,
                                  .id = frame,
                                  .peer = count,
                                  .where = address_of(pages),
                                  .sum = 0});
}

std::byte* survived(std::uint32_t tag) {
  const auto entry = vitals::survivors().find(abi::SurvivorKind::pages, tag);
  return entry ? at(entry->where) : nullptr;
}

void set_up() {
  const abi::Origin& origin = vitals::page().origin;
  const auto total = static_cast<Frame>(origin.nr_pages);
  auto first = static_cast<Frame>(origin.first_heap_pfn);
  auto* const info = at<FrameInfo>(frame_address(first));
  std::uninitialized_value_construct_n(info, total);
  first += static_cast<Frame>((total * sizeof(FrameInfo) + kPage - 1) / kPage);
  new (frames_storage) Frames({info, total});
  new (slabs_storage) Slabs(frames(), at(base()));

  // Everything but survivors' pages, in ascending runs between them.
  auto& counts = vitals::page().counts;
  counts.heap_bytes = 0;
  counts.heap_peak = 0;
  counts.heap_refused = 0;
  Frame from = first;
  while (from < total) {
    Frame kept_first = total;
    Frame kept_count = 0;
    vitals::survivors().for_each([&](const abi::Survivor& entry) {
      if (entry.kind == abi::SurvivorKind::pages && entry.id >= from && entry.id < kept_first) {
        kept_first = entry.id;
        kept_count = std::min(entry.peer, total - entry.id);
      }
    });
    if (kept_first > from) frames().give(from, kept_first - from);
    if (kept_count > 0) {
      frames().adopt(kept_first, kept_count);
      count_given(std::uint64_t{kept_count} * kPage);
    }
    from = kept_first + kept_count;
  }
  total_bytes = std::uint64_t{total - first} * kPage;
}

}  // namespace ppvmm::kernel::memory

// --- The replaceable global allocation functions
// --------------------------------------------------

using ppvmm::kernel::memory::allocate;
using ppvmm::kernel::memory::allocate_or_die;
using ppvmm::kernel::memory::give_back;

const std::nothrow_t std::nothrow{};

void* operator new(std::size_t bytes) {
  return allocate_or_die(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new[](std::size_t bytes) {
  return allocate_or_die(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate_or_die(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return allocate_or_die(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return allocate(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return allocate(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment,
                     const std::nothrow_t&) noexcept {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  give_back(memory);
}
void operator delete[](void* memory) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  give_back(memory);
}
