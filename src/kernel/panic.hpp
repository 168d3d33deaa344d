/// How a unikernel ends.
#pragma once

#include <cstdint>
#include <string_view>

#include "abi/vitals.hpp"

namespace ppvmm::kernel {

/// Gives up: fills the fault record, tells root, ends in SCHEDOP_shutdown(crash). For broken
/// invariants only; an error that a caller can act on is returned, not raised.
[[noreturn]] void panic(std::string_view message, abi::FaultKind kind = abi::FaultKind::panic);

/// Ends the domain cleanly (SCHEDOP_shutdown(poweroff)).
[[noreturn]] void power_off();

/// Ends a test image: one console line `PPVMM-TEST {"name":...,"ok":...,"detail":...}`, the verdict
/// in the vitals page, then poweroff if it passed and crash if it failed. `detail` is JSON members
/// without braces, may be empty, and is put in as it is.
[[noreturn]] void finish_test(std::string_view name, bool ok, std::string_view detail = {});

}  // namespace ppvmm::kernel
