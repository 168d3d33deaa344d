/// Grant copies by Xen: GNTTABOP_copy, many at a time (public/grant_table.h).
#pragma once

#include <array>

#include "net/frame.hpp"
#include "net/netback/grant_copy.hpp"

namespace ppvmm::netuk {

class XenCopier final : public net::GrantCopier {
 public:
  explicit XenCopier(const net::BufferPool& pool) : pool_(&pool) {}
  void copy(std::span<net::GrantCopy> batch) override;

 private:
  static constexpr std::size_t kAtOnce = 128;
  const net::BufferPool* pool_;
  std::array<gnttab_copy_t, kAtOnce> requests_{};
};

}  // namespace ppvmm::netuk
