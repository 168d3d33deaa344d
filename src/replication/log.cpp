#include "replication/log.hpp"

#include <algorithm>
#include <cstring>

#include "replication/event.hpp"
#include "replication/sealed.hpp"

namespace ppvmm::replication {
namespace {

/// The log's ring as one stretch per side of its end.
struct Stretch {
  std::size_t offset;
  std::size_t first;
};

Stretch stretch(const Region& region, std::uint64_t position, std::size_t size) {
  const Geometry& geometry = region.geometry();
  const std::size_t inside = position & (geometry.log_bytes - 1);  // a power of two
  return {log_offset(geometry) + inside, std::min<std::size_t>(size, geometry.log_bytes - inside)};
}

void copy_in(Region& region, std::uint64_t position, std::span<const std::byte> bytes) {
  const Stretch at = stretch(region, position, bytes.size());
  region.memory().write(at.offset, bytes.first(at.first));
  if (at.first == bytes.size()) return;
  region.memory().write(log_offset(region.geometry()), bytes.subspan(at.first));
}

void copy_out(const Region& region, std::uint64_t position, std::span<std::byte> bytes) {
  const Stretch at = stretch(region, position, bytes.size());
  region.memory().read(at.offset, bytes.first(at.first));
  if (at.first == bytes.size()) return;
  region.memory().read(log_offset(region.geometry()), bytes.subspan(at.first));
}

/// Nothing at `tail` can be believed. It is damage only if something was appended here.
Found missing(const Region& region, const LogTail& tail) {
  const auto appended = region.word(kAppendedOffset);
  return appended && *appended > tail.sequence ? Found::damaged : Found::nothing;
}

}  // namespace

std::expected<bool, RegionError> has_room(const Region& region, const LogTail& tail,
                                          std::uint64_t size) {
  return has_room(region.geometry(), region.word(kReleasedOffset), tail, size);
}

void append(Region& region, const LogTail& tail, std::span<const std::byte> record) {
  append(region, tail, record, seal(region.key(), kAppendedOffset, tail.sequence + 1));
}

void append(Region& region, const LogTail& tail, std::span<const std::byte> record,
            std::uint64_t appended) {
  constexpr std::size_t kFirstWord = sizeof(std::uint64_t);
  copy_in(region, tail.position + kFirstWord, record.subspan(kFirstWord));
  region.memory().store64(stretch(region, tail.position, kFirstWord).offset, tail.sequence + 1);
  // Lets a reader tell a damaged record from one that was never there.
  region.memory().store64(kAppendedOffset, appended);
}

Found read(const Region& region, const LogTail& tail, std::vector<std::byte>& record) {
  const std::uint64_t first =
      region.memory().load64(stretch(region, tail.position, sizeof first).offset);
  if (first != tail.sequence + 1) return missing(region, tail);

  RecordHead head{};
  copy_out(region, tail.position, std::as_writable_bytes(std::span{&head, 1}));
  const std::uint64_t capacity = region.geometry().log_bytes;
  if (head.sequence != first || head.length > capacity - sizeof head) return missing(region, tail);

  const std::size_t size =
      (sizeof head + head.length + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
  if (size > capacity) return missing(region, tail);
  record.resize(size);
  std::memcpy(record.data(), &head, sizeof head);
  copy_out(region, tail.position + sizeof head, std::span{record}.subspan(sizeof head));
  const auto checked = std::span{record}.first(sizeof head + head.length).subspan(kCheckedOffset);
  if (head.check != record_check(region.key(), first, checked)) return missing(region, tail);
  return Found::record;
}

}  // namespace ppvmm::replication
