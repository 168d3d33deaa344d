/// The console never blocks: lines that find no room are dropped, counted, and the gap is told.
#include "kernel/console.hpp"

#include "checks.hpp"
#include "kernel/start.hpp"
#include "kernel/time.hpp"
#include "kernel/vitals.hpp"

void ppvmm_main(const ppvmm::kernel::Start&) {
  using namespace ppvmm::kernel;
  ppvmm::test::Checks checks("console");
  vitals::ready();
  auto& counts = vitals::page().counts;
  checks.expect(console::write_line("a whole line"), "a line is written");
  console::set_threshold(Level::error);
  const std::uint64_t quiet = counts.log_lines;
  log(Level::warning, "not to be seen");
  checks.expect(counts.log_lines == quiet, "a level below the threshold writes nothing");
  console::set_threshold(Level::info);

  // Far more than the ring holds, faster than any reader of another domain on one processor.
  const std::uint64_t dropped = counts.log_dropped;
  const Nanoseconds start = time::now();
  for (int i = 0; i < 10'000; ++i)
    log(Level::info, "flood ", i);
  checks.note("flood_us", (time::now() - start) / time::kMicrosecond);
  checks.expect(counts.log_dropped > dropped, "lines without room are counted");
  checks.expect(counts.log_lines > quiet, "those with room are written");
  console::set_threshold(Level::error);
  console::drain(time::kSecond);
  checks.finish();
}
