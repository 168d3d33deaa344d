/// Checks at each start that the protections in which everything else trusts really hold.
#pragma once

namespace ppvmm::kernel {

/// Sets a bit of Vitals::self_check for each check that passed (docs/vitals.md lists them); panics
/// with the name of the first that fails.
void self_check();

}  // namespace ppvmm::kernel
