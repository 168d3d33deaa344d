/// The memory that net_uk keeps over microreboots: buffers, which the card may still be writing
/// into when an incarnation dies, and the vifs' records.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "net/frame.hpp"
#include "net/netback/vif_record.hpp"

namespace ppvmm::netuk {

/// Pages for `buffers` buffers, the same ones in every life. Panics when there is no memory.
class BufferMemory {
 public:
  explicit BufferMemory(std::size_t buffers);
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::span<const net::DmaAddress> pages() const { return pages_; }

 private:
  std::byte* data_;
  std::vector<net::DmaAddress> pages_;
};

/// The records' page, all zero in the first life.
[[nodiscard]] std::span<net::VifRecord, net::kVifRecords> kept_records();

}  // namespace ppvmm::netuk
