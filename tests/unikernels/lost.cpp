/// A survivor that is corrupt makes re-entry refuse: the state becomes `lost`, and no second life
/// begins. Judged from outside, by the vitals page: this image never gives a verdict that says ok.
#include "checks.hpp"
#include "kernel/layout.hpp"
#include "kernel/start.hpp"
#include "kernel/vitals.hpp"

void ppvmm_main(const ppvmm::kernel::Start& start) {
  using namespace ppvmm::kernel;
  ppvmm::test::Checks checks("lost");
  if (start.reborn) {
    checks.expect(false, "a life began on corrupt survivors");
    checks.finish();
  }
  vitals::ready();
  // The supervisor port is a survivor of every image.
  ppvmm_vitals.survivors[0].id ^= 1;
  panic("killed with a corrupt survivor");
}
