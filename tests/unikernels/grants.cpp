/// Grants: a page granted by this domain to itself, mapped in the window and over an own page.
#include "kernel/grants.hpp"

#include <cstring>
#include <utility>

#include "checks.hpp"
#include "kernel/events.hpp"
#include "kernel/memory.hpp"
#include "kernel/start.hpp"
#include "kernel/vitals.hpp"

namespace {

using namespace ppvmm::kernel;

constexpr std::uint32_t kTag = 7;
/// More than one batch of hypercalls, and more references than the table has at the start.
constexpr std::uint32_t kRun = 200;
constexpr grants::GrantRef kFirst = 3000;

void check_runs(ppvmm::test::Checks& checks, grants::DomId self) {
  std::byte* const pages = memory::take_pages(kRun);
  std::memset(pages, 0x55, std::size_t{kRun} * 4096);
  checks.expect(grants::grant_run(kTag, self, pages, kRun, kFirst).has_value(),
                "a run of pages is granted under chosen references");
  checks.expect(!grants::grant_run(kTag + 1, self, pages, kRun, kFirst).has_value(),
                "references in use are refused");
  checks.expect(grants::statistics().granted == kRun, "the grants are counted");

  auto run = grants::MappedRun::open(kTag, self, kFirst, kRun);
  if (!checks.expect(run.has_value(), "addresses for the run are found")) return;
  checks.expect(grants::statistics().mapped == 0, "nothing is mapped before it is needed");
  checks.expect(run->need(150, 2) && grants::statistics().mapped == 2, "what is needed is mapped");
  run->data()[150 * 4096] = std::byte{0x66};
  checks.expect(pages[150 * 4096] == std::byte{0x66}, "and is the page of that number");
  checks.expect(run->need(0, kRun) && grants::statistics().mapped == kRun, "the rest follows");
  checks.expect(run->data()[151 * 4096] == std::byte{0x55}, "in its place");
  checks.expect(!run->need(kRun - 1, 2), "beyond the end there is nothing");
  auto again = grants::MappedRun::survived(kTag);
  checks.expect(again && again->data() == run->data(), "the run is found again by its tag");
  run->close();
  checks.expect(grants::statistics().mapped == 0, "closing unmaps all of it");
  checks.expect(!grants::MappedRun::survived(kTag), "and forgets it");

  auto beyond = grants::MappedRun::open(kTag, self, kFirst + kRun - 1, 2);
  checks.expect(beyond && !beyond->need(0, 2), "a page that is not granted is reported");
  if (beyond) beyond->close();
}

}  // namespace

void ppvmm_main(const ppvmm::kernel::Start&) {
  using grants::Access;
  ppvmm::test::Checks checks("grants");
  vitals::ready();
  const grants::DomId self = events::own_domain();
  std::byte* const page = memory::take_pages(1);
  std::byte* const cover = memory::take_pages(1);
  std::memset(page, 0x11, 4096);
  std::memset(cover, 0x22, 4096);

  const auto ref = grants::grant(self, page, Access::read_write);
  if (!checks.expect(ref.has_value(), "a page is granted")) checks.finish();
  checks.expect(grants::statistics().granted == 1, "the grant is counted");
  {
    auto window = grants::map(self, *ref, Access::read_write);
    if (!checks.expect(window.has_value(), "it is mapped in the window")) checks.finish();
    checks.expect(window->data()[100] == std::byte{0x11}, "the mapping shows the page");
    window->data()[100] = std::byte{0x33};
    checks.expect(page[100] == std::byte{0x33}, "and writes through");
    checks.expect(!grants::revoke(*ref), "a mapped grant cannot be revoked");

    auto over = grants::map_over(cover, self, *ref, Access::read_write);
    if (checks.expect(over.has_value(), "it is mapped over an own page")) {
      checks.expect(over->data() == cover && cover[100] == std::byte{0x33}, "and shows there");
      over->unmap();
      cover[0] = std::byte{0x44};
      checks.expect(page[0] == std::byte{0x11}, "the own page is back afterwards");
    }
    grants::Mapping moved = std::move(*window);
    checks.expect(!*window && moved.data() != nullptr, "a mapping moves");
    checks.expect(grants::statistics().mapped == 1, "one mapping is left");
  }
  checks.expect(grants::statistics().mapped == 0, "it is unmapped at the end of its life");
  checks.expect(grants::revoke(*ref), "then the grant can be revoked");
  checks.expect(!grants::map(self, *ref, Access::read_write), "and mapped no more");

  const auto nobody = grants::map(0x7000, 8, Access::read_only);
  checks.expect(!nobody && nobody.error() == grants::Error::bad_grant,
                "a domain that does not exist is refused");
  checks.expect(!grants::grant(self, page + 1, Access::read_only), "half a page is refused");
  check_runs(checks, self);
  checks.expect(grants::statistics().stuck == 0, "nothing is stuck");
  checks.finish();
}
