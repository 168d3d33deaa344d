/// The loads of netload, one function each. All return the program's exit code.
#pragma once

#include <cstdint>
#include <string>

#include "order.hpp"

namespace ppvmm::netload {

struct Options {
  std::string to;
  std::string json;
  std::uint16_t port{7100};
  double seconds{5};
  std::uint32_t size{};     ///< 0: what the load prefers.
  unsigned connections{4};  ///< check only, as all below.
  std::uint64_t seed{1};
  std::uint64_t rate{};  ///< Bytes per second, each way, of each connection. 0: no limit.
  double grace{20};      ///< Seconds after the end that an answer is waited for.
  std::string served;    ///< File (served_file.hpp): a time for each connection.
};

/// Serves whoever comes, each in a process of its own; ends only when it cannot.
int serve(const Options& options);
/// send, get and echo.
int measure(const Options& options, Mode mode);
/// Streams both ways over several connections whose every byte is judged.
int check(const Options& options);

}  // namespace ppvmm::netload
