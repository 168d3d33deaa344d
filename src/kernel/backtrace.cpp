#include "kernel/fault.hpp"

namespace ppvmm::kernel {

std::uint32_t walk_frames(std::uint64_t frame_pointer, StackRange stack, std::uint64_t text_low,
                          std::uint64_t text_high,
                          std::array<std::uint64_t, abi::kBacktraceDepth>& out) {
  std::uint32_t depth = 0;
  constexpr std::uint64_t kFrame = 2 * sizeof(std::uint64_t);  // saved rbp, return address
  while (depth < out.size()) {
    const bool readable = frame_pointer % sizeof(std::uint64_t) == 0 &&
                          frame_pointer >= stack.low && stack.high - stack.low >= kFrame &&
                          frame_pointer <= stack.high - kFrame;
    if (!readable) break;
    const auto* const frame = reinterpret_cast<const std::uint64_t*>(frame_pointer);
    if (frame[1] < text_low || frame[1] >= text_high) break;
    out[depth++] = frame[1];
    if (frame[0] <= frame_pointer) break;
    frame_pointer = frame[0];
  }
  return depth;
}

}  // namespace ppvmm::kernel
