/// The server's side of a ring page, driven by stream positions that the server keeps itself. It
/// never reads the two indexes that are the server's to write, so a guest that overwrites them
/// confuses nobody but itself.
///
/// Layout: store/ring.hpp. Spec: Xen docs/misc/xenstore-ring.txt.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "replication/shared_memory.hpp"

namespace ppvmm::replication {

class RingPort {
 public:
  RingPort() = default;
  /// `page`: at least sizeof(store::RingPage) bytes; outlives the port.
  explicit RingPort(SharedMemory page) : page_{page} {}

  [[nodiscard]] bool mapped() const { return !page_.empty(); }

  /// Request bytes that wait behind index `consumed`; nothing if that cannot be.
  [[nodiscard]] std::optional<std::uint32_t> waiting(std::uint32_t consumed) const;
  /// Room for answer bytes behind index `produced`; nothing if that cannot be.
  [[nodiscard]] std::optional<std::uint32_t> room(std::uint32_t produced) const;
  /// Copies request bytes from index `at` on.
  void read(std::uint32_t at, std::span<std::byte> out) const;
  /// Copies answer bytes to index `at` on; nobody sees them yet.
  void write(std::uint32_t at, std::span<const std::byte> bytes);

  void set_consumed(std::uint32_t index);
  void set_produced(std::uint32_t index);
  [[nodiscard]] std::uint32_t consumed() const;
  [[nodiscard]] std::uint32_t produced() const;

  [[nodiscard]] bool reconnect_requested() const;
  /// Empties both queues and then declares the ring connected.
  void reset();
  /// XENSTORE_ERROR_*.
  void report(std::uint32_t error);
  /// Sets the feature bits of store::ServerRing.
  void advertise();

 private:
  SharedMemory page_;
};

}  // namespace ppvmm::replication
