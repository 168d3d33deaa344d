/// A question to XenStore through dom0's own kernel, with a time limit: the only proof that the
/// host's store serves. libxenstore has no time limits, so this speaks the wire format itself.
///
/// Wire format: Xen public/io/xs_wire.h.
#pragma once

#include <chrono>

#include "root/failure.hpp"

namespace ppvmm::root {

/// Asks for the entries of "/" and waits for any answer at most `limit`.
[[nodiscard]] Result<void> probe_store(std::chrono::milliseconds limit);

}  // namespace ppvmm::root
