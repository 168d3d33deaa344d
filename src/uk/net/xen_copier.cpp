#include "uk/net/xen_copier.hpp"

#include <algorithm>

#include "abi/hypercall.hpp"
#include "kernel/contain.hpp"

namespace ppvmm::netuk {

void XenCopier::copy(std::span<net::GrantCopy> batch) {
  while (!batch.empty()) {
    kernel::step();
    const auto now = batch.first(std::min(batch.size(), kAtOnce));
    for (std::size_t i = 0; i < now.size(); ++i) {
      const net::GrantCopy& each = now[i];
      gnttab_copy_t& request = requests_[i];
      request = {};
      using Direction = net::GrantCopy::Direction;
      const bool in = each.direction == Direction::from_guest;
      auto& guest = in ? request.source : request.dest;
      auto& other = in ? request.dest : request.source;
      guest.u.ref = each.grant;
      guest.domid = each.domid;
      guest.offset = each.guest_offset;
      other.offset = each.buffer_offset;
      request.len = each.length;
      request.flags = static_cast<std::uint16_t>(in ? GNTCOPY_source_gref : GNTCOPY_dest_gref);
      if (each.direction == Direction::between_guests) {
        other.u.ref = each.buffer;
        other.domid = each.lender;
        request.flags |= GNTCOPY_source_gref;
      } else {
        other.u.gmfn = pool_->pages()[each.buffer] / net::kBufferBytes;
        other.domid = DOMID_SELF;
      }
    }
    const bool done =
        abi::grant_table_op(GNTTABOP_copy, std::span(requests_.data(), now.size())) == 0;
    for (std::size_t i = 0; i < now.size(); ++i)
      now[i].failed = !done || requests_[i].status != GNTST_okay;
    batch = batch.subspan(now.size());
  }
}

}  // namespace ppvmm::netuk
