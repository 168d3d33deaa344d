#include "net/netback/vif_record.hpp"

#include <algorithm>

namespace ppvmm::net {
namespace {

constexpr unsigned kScatterGather = 1;
constexpr unsigned kChecksumV4 = 2;
constexpr unsigned kChecksumV6 = 4;
constexpr unsigned kGsoV4 = 8;
constexpr unsigned kGsoV6 = 16;
constexpr unsigned kOnlyOwn = 32;

}  // namespace

VifRecord record_of(const VifSettings& settings, std::size_t queues, std::uint8_t split) {
  VifRecord record;
  record.domid = settings.domid;
  record.handle = settings.handle;
  record.queues = static_cast<std::uint8_t>(queues);
  record.split = split;
  record.used = 1;
  record.mac = settings.mac;
  const Abilities& able = settings.abilities;
  record.abilities = static_cast<std::uint8_t>(
      (settings.scatter_gather ? kScatterGather : 0) | (able.checksum_v4 ? kChecksumV4 : 0) |
      (able.checksum_v6 ? kChecksumV6 : 0) | (able.gso_v4 ? kGsoV4 : 0) |
      (able.gso_v6 ? kGsoV6 : 0) | (settings.only_own ? kOnlyOwn : 0));
  if (settings.rate) {
    record.rate_bytes = settings.rate->bytes;
    record.rate_interval_us = settings.rate->interval_us;
  }
  record.addresses = static_cast<std::uint8_t>(std::min(settings.ipv4.size(), record.ipv4.size()));
  std::copy_n(settings.ipv4.begin(), record.addresses, record.ipv4.begin());
  record.sum = sum_of(record);
  return record;
}

bool believable(const VifRecord& record) {
  return record.used == 1 && record.sum == sum_of(record) && record.queues >= 1 &&
         record.queues <= kQueuesMax && record.addresses <= record.ipv4.size();
}

VifSettings settings_of(const VifRecord& record) {
  const auto able = [&](unsigned bit) { return (record.abilities & bit) != 0; };
  VifSettings settings{.domid = record.domid,
                       .handle = record.handle,
                       .mac = record.mac,
                       .rate = {},
                       .only_own = able(kOnlyOwn),
                       .ipv4 = {record.ipv4.begin(), record.ipv4.begin() + record.addresses},
                       .scatter_gather = able(kScatterGather),
                       .abilities = {.checksum_v4 = able(kChecksumV4),
                                     .checksum_v6 = able(kChecksumV6),
                                     .gso_v4 = able(kGsoV4),
                                     .gso_v6 = able(kGsoV6)}};
  if (record.rate_bytes > 0 && record.rate_interval_us > 0) {
    settings.rate = RateLimit{.bytes = record.rate_bytes, .interval_us = record.rate_interval_us};
  }
  return settings;
}

}  // namespace ppvmm::net
