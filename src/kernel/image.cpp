#include "kernel/image.hpp"

#include "abi/checksum.hpp"
#include "kernel/layout.hpp"
#include "kernel/panic.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::kernel::image {
namespace {

std::uint64_t add_range(std::uint64_t state, const std::byte* from, const std::byte* to) {
  const auto* word = reinterpret_cast<const std::uint64_t*>(from);
  const auto* const end = reinterpret_cast<const std::uint64_t*>(to);
  for (; word != end; ++word)
    state = abi::mix(state, *word);
  return state;
}

}  // namespace

std::uint64_t sum() {
  return add_range(add_range(0, &ppvmm_text_start[0], &ppvmm_text_end[0]), &ppvmm_rodata_start[0],
                   &ppvmm_rodata_end[0]);
}

bool whole() {
  return sum() == vitals::page().origin.image_sum;
}

void must_be_whole(std::string_view what) {
  if (!whole()) panic(what, abi::FaultKind::corruption);
}

}  // namespace ppvmm::kernel::image
