/// Takes a unikernel under root's care that somebody else built, as unmodified `xl create` does
/// with a driver domain: finds out what root must know to put the image back into it later.
///
/// Nothing is asked of the unikernel but its vitals page: where its pages are is read from its page
/// tables, which Xen checks, and for the few pages that it does not map (guard pages) from the
/// table that the domain builder gave it. Every frame is mapped as one of that domain's before it
/// is used, so a lie in the table gains nothing.
#pragma once

#include "root/builder.hpp"
#include "root/failure.hpp"
#include "root/image.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

/// What build_domain() would have returned for a running domain built from `image`. Fails when the
/// domain does not run that image: its vitals are none, or its code is not the image's.
[[nodiscard]] Result<BuiltDomain> adopt_domain(const Xen& xen, const Image& image, DomId domid);

}  // namespace ppvmm::root
