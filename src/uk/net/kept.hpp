/// What net_uk keeps over microreboots besides its buffers: the vifs' records.
#pragma once

#include <span>

#include "net/netback/vif_record.hpp"

namespace ppvmm::netuk {

/// The records' page, all zero in the first life. Panics when there is no memory.
[[nodiscard]] std::span<net::VifRecord, net::kVifRecords> kept_records();

}  // namespace ppvmm::netuk
