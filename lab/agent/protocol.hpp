/// What the agent inside the emulated machine and the driver outside say to each other: one JSON
/// object a line, over a virtio-serial port. lab/README.md lists the messages.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace ppvmm::lab {

/// Where the applets reach the agent: a datagram socket, one message a datagram.
inline constexpr std::string_view kSocketPath = "/run/lab/agent";
/// Where xenconsoled writes what guests say; the agent reports what is added there.
inline constexpr std::string_view kConsoleFolder = "/var/log/xen/console";
/// Bytes of a file that travel in one message (before base64).
inline constexpr std::size_t kFileChunk = 48 * 1024;
/// A guest has no agent: its applets put their message on the console, behind this mark.
inline constexpr std::string_view kConsoleMark = "@lab ";

/// Nanoseconds of CLOCK_MONOTONIC: the stamp of every message.
[[nodiscard]] std::int64_t now_ns();

/// One line as it is sent. Bytes that are not UTF-8 are replaced.
[[nodiscard]] std::string to_line(const nlohmann::json& message);

[[nodiscard]] std::string base64_encode(std::string_view bytes);

/// The bytes behind `text`; decoding stops at the first character that is not of the alphabet.
[[nodiscard]] std::string base64_decode(std::string_view text);

}  // namespace ppvmm::lab
