/// Heap: accounting, alignment, refusal when memory is out, and everything back afterwards.
#include "kernel/memory.hpp"

#include <array>
#include <memory>
#include <new>
#include <utility>

#include "checks.hpp"
#include "kernel/start.hpp"
#include "kernel/vitals.hpp"

namespace {

using namespace ppvmm::kernel;

struct Link {
  Link* next;
  std::array<std::byte, 2000> room;
};

void small_objects(ppvmm::test::Checks& checks) {
  const auto before = memory::statistics();
  constexpr std::size_t kCount = 10'000;
  auto objects = std::make_unique<std::array<std::unique_ptr<std::uint64_t>, kCount>>();
  for (std::size_t i = 0; i < kCount; ++i)
    (*objects)[i] = std::make_unique<std::uint64_t>(i);
  const auto during = memory::statistics();
  checks.expect(during.objects == before.objects + kCount, "objects are counted");
  checks.expect(during.slab_bytes - before.slab_bytes <= 16 * kCount + 4096,
                "no header per object");
  bool intact = true;
  for (std::size_t i = 0; i < kCount; ++i)
    intact = intact && *(*objects)[i] == i;
  checks.expect(intact, "objects keep their contents");
  objects.reset();
  checks.expect(memory::statistics().in_use == before.in_use, "all is given back");
}

void alignments(ppvmm::test::Checks& checks) {
  bool aligned = true;
  for (std::size_t alignment = 16; alignment <= 4096; alignment *= 2) {
    for (const std::size_t size : {1u, 40u, 100u, 700u, 3000u, 9000u}) {
      void* const memory = ::operator new (size, std::align_val_t{alignment}, std::nothrow);
      aligned =
          aligned && memory != nullptr && reinterpret_cast<std::uintptr_t>(memory) % alignment == 0;
      ::operator delete (memory, size, std::align_val_t{alignment});
    }
  }
  checks.expect(aligned, "alignment is kept");
  checks.expect(::operator new (64, std::align_val_t{8192}, std::nothrow) == nullptr,
                "alignment beyond a page is refused");
}

void exhaustion(ppvmm::test::Checks& checks) {
  const auto before = memory::statistics();
  Link* chain = nullptr;
  std::uint64_t count = 0;
  while (Link* const link = new (std::nothrow) Link) {
    link->next = chain;
    chain = link;
    ++count;
  }
  const auto full = memory::statistics();
  checks.expect(full.available < 4096, "memory is used to the last page");
  checks.expect(full.refused > before.refused, "the refusal is counted");
  checks.expect(count * sizeof(Link) > before.available * 9 / 10, "little is lost to overhead");
  checks.note("links", count);
  while (chain != nullptr)
    delete std::exchange(chain, chain->next);
  checks.expect(memory::statistics().in_use == before.in_use, "memory comes back");
  std::byte* const large = memory::take_pages(before.available / kFrameBytes / 4);
  checks.expect(large != nullptr, "free pages merge into large runs again");
  memory::release_pages(large);
}

}  // namespace

void ppvmm_main(const Start&) {
  ppvmm::test::Checks checks("memory");
  vitals::ready();
  checks.expect(memory::statistics().total > 0, "there is a heap");
  small_objects(checks);
  alignments(checks);
  exhaustion(checks);
  checks.finish();
}
