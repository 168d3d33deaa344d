/// The packets of udpseq. Little endian; both ends are the same program.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "journal.hpp"
#include "tally.hpp"

namespace ppvmm::udpseq {

inline constexpr std::uint64_t kMagic = 0x7165733270645575;  // "uUdp2seq"

enum class Kind : std::uint32_t {
  data = 1,    ///< `number`, then bytes that follow from the header.
  finish = 2,  ///< I sent `number` packets and am done; so be you. What did you get?
  report = 3,  ///< I got this (`tally`), and sent `number`.
};

struct Header {
  std::uint64_t magic;
  Kind kind;
  std::uint32_t run;  ///< Which run: the starter's choice.
  std::uint64_t number;
  std::uint64_t rate;   ///< Packets per second the other end is to send; data only.
  std::uint64_t limit;  ///< How many at most; data only.
  Heard heard;          ///< Of the receiver's stream; data only.
};
static_assert(sizeof(Header) == 64);

struct Report {
  Header header;
  Tally tally;
};

/// Where the pattern of a packet begins: every bit of its header changes it.
inline std::uint64_t pattern_of(const Header& header) {
  std::array<std::uint64_t, sizeof header / sizeof(std::uint64_t)> words;
  std::memcpy(words.data(), &header, sizeof header);
  std::uint64_t state = 0;
  for (const std::uint64_t word : words)
    state = (state ^ word) * 0x9E3779B97F4A7C15u + (state >> 29);
  return state;
}

/// Bytes of a data packet: a header and a pattern.
inline void fill(std::span<std::byte> packet, const Header& header) {
  std::memcpy(packet.data(), &header, sizeof header);
  std::uint64_t state = pattern_of(header);
  for (std::size_t i = sizeof header; i < packet.size(); ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    packet[i] = static_cast<std::byte>(state >> 56);
  }
}

/// The header of what may be a packet of ours.
inline std::optional<Header> header_of(std::span<const std::byte> packet) {
  Header header;
  if (packet.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, packet.data(), sizeof header);
  if (header.magic != kMagic) return std::nullopt;
  return header;
}

inline bool intact(std::span<const std::byte> packet, const Header& header) {
  std::uint64_t state = pattern_of(header);
  for (std::size_t i = sizeof header; i < packet.size(); ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    if (packet[i] != static_cast<std::byte>(state >> 56)) return false;
  }
  return true;
}

}  // namespace ppvmm::udpseq
