/// Log lines on the PV console ring (public/io/console.h), read by xenconsoled or root.
///
/// A line is whole or not there: when the ring has no room for it, it is dropped and counted in
/// Counts::log_dropped, and the next line that fits says how many are missing. The console never
/// blocks a service.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernel/text.hpp"

namespace ppvmm::kernel {

enum class Level : std::uint8_t { debug, info, warning, error };

namespace console {

/// Longest line, stamp included; more is cut.
inline constexpr std::size_t kLongestLine = 320;

/// Writes `line` and CR LF as it is. False if the ring had no room.
bool write_line(std::string_view line);
/// `[seconds.microseconds] level text`, if `level` is at least the threshold.
void write(Level level, std::string_view text);
/// Lines below this level are not written; info at the start, or `loglevel=` 0..3 on the command
/// line.
void set_threshold(Level level);
/// Waits until the reader has taken everything, at most `limit_ns`. For the last words of a domain.
void drain(std::uint64_t limit_ns);

/// For the runtime: finds the ring. Before this, lines are counted as dropped.
void set_up();

}  // namespace console

/// Writes a line made of texts, numbers, bools and Hex{...}.
template <typename... Parts>
void log(Level level, const Parts&... parts) {
  console::write(level, Text<console::kLongestLine>(parts...).view());
}

}  // namespace ppvmm::kernel
