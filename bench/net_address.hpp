/// Where a load goes to, as command lines say it.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>

namespace ppvmm::bench {

/// "10.0.0.2:7100"; nothing when the text is no such thing.
[[nodiscard]] inline std::optional<sockaddr_in> address_of(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  if (colon == std::string::npos ||
      inet_pton(AF_INET, text.substr(0, colon).c_str(), &peer.sin_addr) != 1) {
    return std::nullopt;
  }
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + colon + 1, end, port);
  if (read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  peer.sin_port = htons(port);
  return peer;
}

}  // namespace ppvmm::bench
