/// The running image's code and constants, compared with what was built.
///
/// Root compares them too, all the time but slowly (a flipped bit is known after some 90 ms), and
/// nobody can judge another by damaged code meanwhile: before a peer is blamed for what was seen,
/// the image itself has to be above suspicion.
#pragma once

#include <cstdint>
#include <string_view>

namespace ppvmm::kernel::image {

/// Checksum of code and constants as they are in memory now. Some ten instructions for 8 bytes.
[[nodiscard]] std::uint64_t sum();

/// Are they what the first life found (vitals, `Origin::image_sum`)?
[[nodiscard]] bool whole();

/// Panics as corruption, with `what` as the message, if not: root puts them back and the next life
/// looks again.
void must_be_whole(std::string_view what);

}  // namespace ppvmm::kernel::image
