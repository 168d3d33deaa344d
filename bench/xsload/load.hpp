/// Runs operations and takes the time of each.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "connection.hpp"
#include "tree.hpp"

namespace ppvmm::xsload {

/// One measurement: `clients` connections, each with one operation under way at any time.
struct Plan {
  std::string server;     ///< Path of the socket or device.
  std::string operation;  ///< See kOperations.
  std::uint32_t clients{1};
  std::uint32_t warmup{20};   ///< Operations of each client before the clock counts.
  std::uint64_t count{1000};  ///< Operations of each client that are measured; 0: no limit.
  std::chrono::milliseconds duration{0};  ///< Stop after this time; 0: no limit.
};

struct Sample {
  std::uint32_t client{};
  std::uint64_t nanoseconds{};
};

struct Measurement {
  std::vector<Sample> samples;            ///< In the order of completion.
  std::chrono::nanoseconds elapsed{};     ///< First request to last answer.
  std::chrono::nanoseconds client_cpu{};  ///< CPU time of this process in that span.
  std::uint64_t retries{};
};

/// Measures `plan` on `tree`, which must be populated. Throws Failure when any answer is wrong.
[[nodiscard]] Measurement measure(const Plan& plan, const Tree& tree);

/// Writes the shared leaves of `tree` by `window` connections, each with one request under way:
/// Linux' xenbus device keeps a request in a buffer of the open file until it is sent, and a second
/// write to the same file overwrites it (Linux 6.1, drivers/xen/xenbus/xenbus_dev_frontend.c).
/// Returns the time it took.
std::chrono::nanoseconds populate(const std::string& server, const Tree& tree,
                                  std::uint32_t window);

/// Removes the tree's base, if it is there.
void remove(Connection& connection, const Tree& tree);

}  // namespace ppvmm::xsload
