/// A backup's region, as the primary reaches it: its pages are mapped when they are first used, so
/// that a primary built anew need not map what it never looks at, and stay mapped over
/// microreboots.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "abi/xen.hpp"
#include "kernel/grants.hpp"
#include "replication/layout.hpp"
#include "replication/shared_memory.hpp"

namespace ppvmm::xenstore {

class RemoteRegion final : public replication::MemoryProvider {
 public:
  /// Region number `index`, granted by `domid` (abi/xenstore_set.hpp). Found again if an earlier
  /// life had it, else opened; memory() is empty if that is not possible.
  void open(std::size_t index, abi::DomId domid, const replication::Geometry& geometry);
  /// Unmaps everything, so that the backup's domain can end.
  void close();
  [[nodiscard]] bool is_open() const { return static_cast<bool>(run_); }
  /// The region, or no memory. Valid until close().
  [[nodiscard]] replication::SharedMemory memory();
  /// Maps what is used by every request (control words, intents). False: the backup grants nothing
  /// (yet).
  [[nodiscard]] bool begin(const replication::Geometry& geometry);
  /// Maps the next `pages` of the log, so that later no request waits for them. For idle times:
  /// after a rebirth under the same id all of it would take longer than the rest.
  void warm_up(const replication::Geometry& geometry, std::uint32_t pages);

  bool provide(std::size_t offset, std::size_t size) override;

 private:
  kernel::grants::MappedRun run_;
  std::size_t warm_bytes_{};  ///< From the start of the region, known to be mapped.
};

}  // namespace ppvmm::xenstore
