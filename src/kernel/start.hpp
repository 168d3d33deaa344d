/// What an image gets at its start, and the one function it provides.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ppvmm::kernel {

struct Start {
  bool reborn;                    ///< Entered by a microreboot: look for survivors.
  std::uint32_t incarnation;      ///< 1 for the first life.
  std::string_view command_line;  ///< As the domain builder gave it, at most 255 bytes.
  std::uint64_t memory_pages;     ///< Memory of the domain.
  std::uint64_t flags;            ///< start_info flags (SIF_INITDOMAIN, SIF_PRIVILEGED ...).
  std::uint64_t store_mfn;        ///< Machine frame of the domain's own XenStore ring; 0: none.
  std::uint32_t store_port;       ///< Its event-channel port.
};

/// The value of `name=value` in a command line of words separated by spaces, the empty text for a
/// bare `name`, nothing if the word is not there. The first one wins.
[[nodiscard]] std::optional<std::string_view> find_option(std::string_view command_line,
                                                          std::string_view name);
/// The same as a decimal number; nothing if absent, empty, not a number or above 2^64 - 1.
[[nodiscard]] std::optional<std::uint64_t> find_number(std::string_view command_line,
                                                       std::string_view name);

}  // namespace ppvmm::kernel

/// The image's main function. It runs with memory, console, events, time and tasks in order, on the
/// main stack, after the constructors of static objects. It usually sets up handlers and tasks,
/// calls vitals::ready() and never returns from events::run(). Returning powers the domain off.
void ppvmm_main(const ppvmm::kernel::Start& start);
