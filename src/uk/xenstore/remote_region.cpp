#include "uk/xenstore/remote_region.hpp"

#include <algorithm>
#include <utility>

#include "abi/xenstore_set.hpp"

namespace ppvmm::xenstore {
namespace {

constexpr std::uint32_t kTag = 0x52454700;  // "REG" and the region's number
constexpr std::size_t kPage = 4096;

std::uint32_t pages_for(std::size_t bytes) {
  return static_cast<std::uint32_t>((bytes + kPage - 1) / kPage);
}

}  // namespace

void RemoteRegion::open(std::size_t index, abi::DomId domid,
                        const replication::Geometry& geometry) {
  if (run_) return;
  const std::uint32_t tag = kTag + static_cast<std::uint32_t>(index);
  if (auto kept = kernel::grants::MappedRun::survived(tag)) {
    run_ = std::move(*kept);
  } else if (auto fresh =
                 kernel::grants::MappedRun::open(tag, domid, abi::xenstore_set::kRegionGrants,
                                                 pages_for(replication::region_bytes(geometry)))) {
    run_ = std::move(*fresh);
  }
  warm_bytes_ = 0;
}

void RemoteRegion::close() {
  run_.close();
  warm_bytes_ = 0;
}

replication::SharedMemory RemoteRegion::memory() {
  if (!run_) return {};
  return replication::SharedMemory{{run_.data(), std::size_t{run_.pages()} * kPage}, *this};
}

bool RemoteRegion::begin(const replication::Geometry& geometry) {
  const std::size_t bytes = replication::log_offset(geometry);
  if (!run_ || !run_.need(0, pages_for(bytes))) return false;
  warm_bytes_ = bytes;
  return true;
}

void RemoteRegion::warm_up(const replication::Geometry& geometry, std::uint32_t pages) {
  const std::size_t end = replication::log_offset(geometry) + geometry.log_bytes;
  if (!run_ || warm_bytes_ == 0 || warm_bytes_ >= end) return;
  const std::size_t next = std::min(end, warm_bytes_ + pages * kPage);
  const auto first = static_cast<std::uint32_t>(warm_bytes_ / kPage);
  if (run_.need(first, pages_for(next) - first)) warm_bytes_ = next;
}

bool RemoteRegion::provide(std::size_t offset, std::size_t size) {
  if (offset + size <= warm_bytes_) return true;
  const auto first = static_cast<std::uint32_t>(offset / kPage);
  const auto last = static_cast<std::uint32_t>((offset + size - 1) / kPage);
  return run_ && run_.need(first, last - first + 1);
}

}  // namespace ppvmm::xenstore
