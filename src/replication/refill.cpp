#include "replication/refill.hpp"

#include <algorithm>
#include <vector>

namespace ppvmm::replication {

Refill::Progress Refill::step(const Region& source, Region& target, const LogTail& end,
                              std::uint64_t bytes) {
  switch (phase_) {
    case Phase::begin: {
      const auto head = newest_checkpoint(source);
      if (!head) return Progress::no_source;
      head_ = *head;
      copied_ = 0;
      phase_ = Phase::body;
      return Progress::working;
    }
    case Phase::body:
      return copy_body(source, target, bytes);
    case Phase::check:
      return check_body(source, target, bytes);
    case Phase::log:
      return copy_log(source, target, end, bytes);
  }
  return again();
}

Refill::Progress Refill::copy_body(const Region& source, Region& target, std::uint64_t bytes) {
  const std::uint64_t size = head_.ledger_bytes + head_.stream_bytes;
  const std::size_t start = checkpoint_offset(source.geometry(), head_.serial) + sizeof head_;
  const std::uint64_t stop = std::min(size, copied_ + std::max<std::uint64_t>(bytes, 1));
  std::vector<std::byte> chunk(std::min<std::uint64_t>(4096, stop - copied_));
  while (copied_ < stop) {
    const auto part = std::span{chunk}.first(std::min<std::uint64_t>(chunk.size(), stop - copied_));
    source.memory().read(start + copied_, part);
    target.memory().write(start + copied_, part);
    copied_ += part.size();
  }
  if (copied_ == size) {
    reader_.emplace(target, head_);
    phase_ = Phase::check;
  }
  return Progress::working;
}

Refill::Progress Refill::check_body(const Region& source, Region& target, std::uint64_t bytes) {
  if (!reader_->step(target, std::max<std::uint64_t>(bytes, 1))) return Progress::working;
  if (!reader_->intact()) {
    // Either the source has begun its next but one checkpoint meanwhile, or this one is damaged.
    const auto newest = newest_checkpoint(source);
    if (newest && newest->serial != head_.serial) return again();
    restart();
    return Progress::no_source;
  }
  publish_checkpoint(target, head_);
  target.set_word(kReleasedOffset, head_.position);
  target.set_word(kAppliedOffset, head_.sequence);
  target.set_word(kAppendedOffset, head_.sequence);
  at_ = {head_.sequence, head_.position};
  phase_ = Phase::log;
  return Progress::working;
}

Refill::Progress Refill::copy_log(const Region& source, Region& target, const LogTail& end,
                                  std::uint64_t bytes) {
  // Twice as fast as the log grows, whatever the caller thinks is enough: it must be caught.
  if (seen_end_ != 0) bytes = std::max(bytes, 2 * (end.position - seen_end_));
  seen_end_ = end.position;
  std::vector<std::byte> record;
  for (std::uint64_t copied = 0; copied <= bytes; copied += record.size()) {
    if (at_ == end) return Progress::caught_up;
    // Overwritten (the source released it) or damaged: a newer checkpoint will do.
    if (read(source, at_, record) != Found::record) return again();
    const auto room = has_room(target, at_, record.size());
    if (!room || !*room) return again();
    append(target, at_, record);
    at_ = after(at_, record.size());
  }
  return Progress::working;
}

}  // namespace ppvmm::replication
