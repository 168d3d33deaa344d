/// The server's side of a ring page, driven by stream positions that the server keeps itself. It
/// never reads the two indexes that are the server's to write, so a guest that overwrites them
/// confuses nobody but itself.
///
/// Layout: store/ring.hpp. Spec: Xen docs/misc/xenstore-ring.txt.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "replication/shared_memory.hpp"

namespace ppvmm::replication {

class RingPort {
 public:
  RingPort() = default;
  /// `page`: a whole page, 4096 bytes; outlives the port.
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

  /// Bytes of a request that left the queue before all of it was there.
  struct Held {
    std::uint32_t index{};         ///< Of the request's first byte.
    std::vector<std::byte> bytes;  ///< Not empty, at most store::kRingBytes.
  };
  /// Writes `bytes` down in the page's unused part, as those from `offset` on of the request (or
  /// piece of one) that begins at index `at`. They are held once set_consumed() has passed them: a
  /// death in between leaves them in the queue. The guest can overwrite them, as it can its queue.
  void hold(std::uint32_t at, std::size_t offset, std::span<const std::byte> bytes);
  /// What is held at consumed(); nothing if the queue begins with a request's first byte.
  [[nodiscard]] std::optional<Held> held() const;

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
