/// The few socket calls that all loads share.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>

namespace ppvmm::netload {

/// This machine's monotonic clock.
[[nodiscard]] std::uint64_t now_ns();

/// False when the connection broke before all of it was through.
[[nodiscard]] bool write_all(int fd, const void* data, std::size_t bytes);
[[nodiscard]] bool read_all(int fd, void* data, std::size_t bytes);

/// A connection that sends small pieces at once; -1, with errno, when there is none.
[[nodiscard]] int connect_to(const sockaddr_in& peer);
void without_delay(int fd);

}  // namespace ppvmm::netload
