/// Grants: a page granted by this domain to itself, mapped in the window and over an own page.
#include "kernel/grants.hpp"

#include <cstring>
#include <utility>

#include "checks.hpp"
#include "kernel/events.hpp"
#include "kernel/memory.hpp"
#include "kernel/start.hpp"
#include "kernel/vitals.hpp"

void ppvmm_main(const ppvmm::kernel::Start&) {
  using namespace ppvmm::kernel;
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
  checks.expect(grants::statistics().stuck == 0, "nothing is stuck");
  checks.finish();
}
