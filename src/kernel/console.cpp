#include "kernel/console.hpp"

#include <array>

#include "abi/hypercall.hpp"
#include "kernel/events.hpp"
#include "kernel/layout.hpp"
#include "kernel/paging.hpp"
#include "kernel/time.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::kernel::console {
namespace {

xencons_interface* ring = nullptr;
Level threshold = Level::info;
std::uint64_t missing = 0;

constexpr std::size_t kRingBytes = sizeof(xencons_interface::out);
static_assert((kRingBytes & (kRingBytes - 1)) == 0);

std::uint32_t used() {
  const std::uint32_t consumer = __atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE);
  // The reader is another domain: a consumer index that makes no sense counts as a full ring.
  const std::uint32_t count = ring->out_prod - consumer;
  return count > kRingBytes ? static_cast<std::uint32_t>(kRingBytes) : count;
}

}  // namespace

bool write_line(std::string_view line) {
  auto& counts = vitals::page().counts;
  constexpr std::string_view kEnd = "\r\n";
  if (ring == nullptr || kRingBytes - used() < line.size() + kEnd.size()) {
    ++counts.log_dropped;
    ++missing;
    return false;
  }
  std::uint32_t producer = ring->out_prod;
  for (const std::string_view part : {line, kEnd}) {
    for (const char letter : part)
      ring->out[producer++ % kRingBytes] = letter;
  }
  __atomic_store_n(&ring->out_prod, producer, __ATOMIC_RELEASE);
  ++counts.log_lines;
  events::notify(vitals::page().origin.console_port);
  return true;
}

void write(Level level, std::string_view text) {
  if (level < threshold) return;
  constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warning", "error"};
  const std::uint64_t stamp = time::now();
  if (missing > 0) {
    Text<64> note("[", stamp / time::kSecond, ".");
    note.digits(stamp % time::kSecond / time::kMicrosecond, 10, 6);
    note.add("] warning ").add(missing).add(" lines dropped");
    if (!write_line(note.view())) {
      ++missing;
      return;
    }
    missing = 0;
  }
  Text<kLongestLine> line("[", stamp / time::kSecond, ".");
  line.digits(stamp % time::kSecond / time::kMicrosecond, 10, 6);
  line.add("] ").add(kNames[static_cast<std::size_t>(level)]).add(' ').add(text);
  (void)write_line(line.view());
}

void set_threshold(Level level) {
  threshold = level;
}

void drain(std::uint64_t limit_ns) {
  if (ring == nullptr) return;
  const std::uint64_t until = time::now() + limit_ns;
  while (used() > 0 && time::now() < until)
    abi::sched_yield();
}

void set_up() {
  const abi::Origin& origin = vitals::page().origin;
  if (origin.console_mfn == 0) return;
  ring = at<xencons_interface>(frame_address(paging::pseudo_frame(origin.console_mfn)));
}

}  // namespace ppvmm::kernel::console
