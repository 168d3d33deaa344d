/// Work that the sender left undone, done in software for a receiver who cannot do it.
///
/// A guest hands over packets whose checksum is blank, and TCP packets of up to 64 KiB to be cut
/// into segments. Whoever can take them as they are gets them as they are; these functions are for
/// the rest.
#pragma once

#include <cstdint>
#include <vector>

#include "net/frame.hpp"
#include "net/switch/packet_headers.hpp"

namespace ppvmm::net {

/// What a receiver takes undone.
struct Abilities {
  bool checksum_v4{};
  bool checksum_v6{};
  bool gso_v4{};
  bool gso_v6{};
};

/// Fills in where the blank checksum is, which the guest's protocol does not say. False if the
/// frame has no such checksum (its headers are none that can have one), or is to be segmented but
/// is no such TCP packet.
[[nodiscard]] bool locate_checksum(Frame& frame, const PacketHeaders& headers);

/// Completes the blank checksum. The frame must not be shared.
void complete_checksum(Frame& frame, const PacketHeaders& headers);

/// A receiver of such abilities takes the frame as it is. Looks at no more than its headers.
[[nodiscard]] bool takes(const Abilities& abilities, const Frame& frame);

enum class Adapted : std::uint8_t {
  as_is,      ///< The receiver takes it; nothing was done.
  replaced,   ///< `out` holds what to send instead.
  no_memory,  ///< The pool has not enough.
  malformed,  ///< Not to be segmented.
};
/// Makes of `frame` what a receiver of such abilities takes: itself, a copy with its checksum
/// completed, or segments (which have theirs). The frame itself is never written, so it may be
/// shared. Copies carry its tag.
[[nodiscard]] Adapted adapt(const Frame& frame, const Abilities& abilities, BufferPool& pool,
                            std::vector<Frame>& out);

/// Ones' complement sum of bytes at an even offset of a message (RFC 1071), to be continued.
[[nodiscard]] std::uint64_t sum_of(std::span<const std::byte> bytes, std::uint64_t sum);
[[nodiscard]] std::uint16_t folded(std::uint64_t sum);

}  // namespace ppvmm::net
