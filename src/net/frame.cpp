#include "net/frame.hpp"

#include <algorithm>
#include <cstring>

namespace ppvmm::net {

std::byte* Buffer::data() const {
  return pool_->data(index_);
}

DmaAddress Buffer::dma() const {
  return pool_->pages_[index_];
}

void Buffer::reset() {
  if (pool_ != nullptr) std::exchange(pool_, nullptr)->release(index_);
}

bool Frame::append(Buffer&& buffer, std::size_t offset, std::size_t length) {
  BufferPool::Record& record = pool_->records_[index_];
  if (buffer.pool_ != pool_ || record.count == kFragmentsMax || length == 0) return false;
  if (offset > kBufferBytes || length > kBufferBytes - offset) return false;
  if (record.length + length > kFrameBytesMax) return false;
  record.fragments[record.count++] = {.buffer = buffer.index_,
                                      .offset = static_cast<std::uint16_t>(offset),
                                      .length = static_cast<std::uint16_t>(length)};
  record.length += static_cast<std::uint32_t>(length);
  pool_->owners_[buffer.index_] = 0;  // the frame's owner counts now
  buffer.pool_ = nullptr;
  return true;
}

bool Frame::absorb(Frame&& other, std::size_t skip) {
  if (other.pool_ != pool_ || other.index_ == index_) return false;
  BufferPool::Record& mine = pool_->records_[index_];
  BufferPool::Record& theirs = pool_->records_[other.index_];
  if (skip >= theirs.length) return false;
  std::uint16_t first = 0;
  std::size_t within = skip;
  while (within >= theirs.fragments[first].length)
    within -= theirs.fragments[first++].length;
  const auto pieces = static_cast<std::uint16_t>(theirs.count - first);
  if (mine.count + pieces > kFragmentsMax ||
      mine.length + (theirs.length - skip) > kFrameBytesMax) {
    return false;
  }
  for (std::uint16_t i = first; i < theirs.count; ++i) {
    Fragment piece = theirs.fragments[i];
    pool_->hold(piece);
    if (i == first) {
      piece.offset = static_cast<std::uint16_t>(piece.offset + within);
      piece.length = static_cast<std::uint16_t>(piece.length - within);
    }
    mine.fragments[mine.count++] = piece;
  }
  mine.length += theirs.length - static_cast<std::uint32_t>(skip);
  other.reset();
  return true;
}

bool Frame::append_lent(std::uint32_t grant, std::size_t offset, std::size_t length) {
  BufferPool::Record& record = pool_->records_[index_];
  if (grant >= Fragment::kLent || record.count == 0 || record.count == kFragmentsMax) return false;
  if (length == 0 || offset > kBufferBytes || length > kBufferBytes - offset) return false;
  if (record.length + length > kFrameBytesMax) return false;
  record.fragments[record.count++] = {.buffer = Fragment::kLent | grant,
                                      .offset = static_cast<std::uint16_t>(offset),
                                      .length = static_cast<std::uint16_t>(length)};
  record.length += static_cast<std::uint32_t>(length);
  return true;
}

bool Frame::lent() const {
  return std::ranges::any_of(fragments(), &Fragment::lent);
}

bool Frame::settle(std::size_t piece, Buffer&& buffer) {
  BufferPool::Record& record = pool_->records_[index_];
  if (buffer.pool_ != pool_ || piece >= record.count || !record.fragments[piece].lent()) {
    return false;
  }
  record.fragments[piece].buffer = buffer.index_;
  record.fragments[piece].offset = 0;
  pool_->owners_[buffer.index_] = 0;  // the frame's owner counts now
  buffer.pool_ = nullptr;
  return true;
}

std::span<const Fragment> Frame::fragments() const {
  const BufferPool::Record& record = pool_->records_[index_];
  return {record.fragments.data(), record.count};
}

std::uint32_t Frame::length() const {
  return pool_->records_[index_].length;
}

std::span<std::byte> Frame::bytes(const Fragment& fragment) const {
  if (fragment.lent()) return {};
  return {pool_->data(fragment.buffer) + fragment.offset, fragment.length};
}

DmaAddress Frame::dma(const Fragment& fragment) const {
  return pool_->pages_[fragment.buffer] + fragment.offset;
}

Offload& Frame::offload() {
  return pool_->records_[index_].offload;
}

const Offload& Frame::offload() const {
  return pool_->records_[index_].offload;
}

std::uint64_t& Frame::tag() {
  return pool_->records_[index_].tag;
}

std::uint64_t Frame::tag() const {
  return pool_->records_[index_].tag;
}

Frame Frame::share() const {
  Frame copy = pool_->frame();
  if (!copy) return copy;
  pool_->records_[copy.index_] = pool_->records_[index_];
  pool_->records_[copy.index_].owner = pool_->owner_;
  for (const Fragment& fragment : fragments())
    pool_->hold(fragment);
  return copy;
}

std::size_t Frame::copy_out(std::size_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  for (const Fragment& fragment : fragments()) {
    if (done == out.size() || fragment.lent()) break;
    if (offset >= fragment.length) {
      offset -= fragment.length;
      continue;
    }
    const std::size_t count = std::min(out.size() - done, fragment.length - offset);
    std::memcpy(out.data() + done, bytes(fragment).data() + offset, count);
    done += count;
    offset = 0;
  }
  return done;
}

std::size_t Frame::copy_in(std::size_t offset, std::span<const std::byte> in) {
  std::size_t done = 0;
  for (const Fragment& fragment : fragments()) {
    if (done == in.size() || fragment.lent()) break;
    if (offset >= fragment.length) {
      offset -= fragment.length;
      continue;
    }
    const std::size_t count = std::min(in.size() - done, fragment.length - offset);
    std::memcpy(bytes(fragment).data() + offset, in.data() + done, count);
    done += count;
    offset = 0;
  }
  return done;
}

void Frame::reset() {
  if (pool_ != nullptr) std::exchange(pool_, nullptr)->release_record(index_);
}

BufferPool::BufferPool(std::byte* memory, std::span<const DmaAddress> pages, std::size_t frames,
                       std::span<ReceiveNote> notes)
    : memory_(memory),
      pages_(pages),
      holders_(pages.size()),
      owners_(pages.size()),
      records_(frames),
      notes_(notes.size() == pages.size() ? notes : std::span<ReceiveNote>{}) {
  free_buffers_.reserve(pages.size());
  free_records_.reserve(frames);
  for (std::size_t i = pages.size(); i-- > 0;)
    free_buffers_.push_back(static_cast<std::uint32_t>(i));
  for (std::size_t i = frames; i-- > 0;)
    free_records_.push_back(static_cast<std::uint32_t>(i));
}

Buffer BufferPool::take() {
  if (free_buffers_.empty()) {
    ++refused_buffers_;
    return {};
  }
  const std::uint32_t index = free_buffers_.back();
  free_buffers_.pop_back();
  holders_[index] = 1;
  owners_[index] = owner_;
  return Buffer{this, index};
}

Frame BufferPool::frame() {
  if (free_records_.empty()) {
    ++refused_frames_;
    return {};
  }
  const std::uint32_t index = free_records_.back();
  free_records_.pop_back();
  Record& record = records_[index];
  record.tag = 0;
  record.offload = {};
  record.length = 0;
  record.count = 0;
  record.used = true;
  record.owner = owner_;
  return Frame{this, index};
}

Frame BufferPool::frame_of(std::size_t length, std::size_t headroom) {
  Frame frame = this->frame();
  if (!frame || headroom >= kBufferBytes || length == 0) return {};
  while (length > 0) {
    const std::size_t piece = std::min(length, kBufferBytes - headroom);
    Buffer buffer = take();
    if (!buffer || !frame.append(std::move(buffer), headroom, piece)) return {};
    headroom = 0;
    length -= piece;
  }
  return frame;
}

BufferPool::Statistics BufferPool::statistics() const {
  return {.buffers = static_cast<std::uint32_t>(pages_.size()),
          .free_buffers = static_cast<std::uint32_t>(free_buffers_.size()),
          .frames = static_cast<std::uint32_t>(records_.size()),
          .free_frames = static_cast<std::uint32_t>(free_records_.size()),
          .refused_buffers = refused_buffers_,
          .refused_frames = refused_frames_};
}

void BufferPool::release(std::uint32_t buffer) {
  owners_[buffer] = 0;
  if (--holders_[buffer] != 0) return;
  if (!notes_.empty()) notes_[buffer].length = 0;
  free_buffers_.push_back(buffer);
}

void BufferPool::release_record(std::uint32_t index) {
  Record& record = records_[index];
  for (std::uint16_t i = 0; i < record.count; ++i) {
    if (!record.fragments[i].lent()) release(record.fragments[i].buffer);
  }
  record.count = 0;
  record.used = false;
  free_records_.push_back(index);
}

void BufferPool::give(const Frame& frame, std::uint8_t owner) {
  if (frame.pool_ == this) records_[frame.index_].owner = owner;
}

std::size_t BufferPool::reclaim_owned(std::uint8_t owner) {
  const std::size_t before = free_buffers_.size();
  // Counts first, then both lists out of them.
  for (Record& record : records_) {
    if (!record.used || record.owner != owner) continue;
    for (std::size_t i = 0; i < std::min<std::size_t>(record.count, kFragmentsMax); ++i) {
      const std::uint32_t buffer = record.fragments[i].buffer;
      if (buffer < holders_.size() && holders_[buffer] > 0) --holders_[buffer];
    }
    record.used = false;
  }
  for (std::size_t i = 0; i < owners_.size(); ++i) {
    if (owners_[i] != owner) continue;
    owners_[i] = 0;
    holders_[i] = 0;
  }
  end_reclaim();
  return free_buffers_.size() - std::min(before, free_buffers_.size());
}

void BufferPool::begin_reclaim() {
  std::ranges::fill(holders_, 0u);
  for (Record& record : records_)
    record.used = false;
}

void BufferPool::mark(const Frame& frame) {
  if (frame.pool_ != this) return;
  Record& record = records_[frame.index_];
  if (std::exchange(record.used, true)) return;
  for (std::uint16_t i = 0; i < record.count; ++i)
    hold(record.fragments[i]);
}

void BufferPool::mark(const Buffer& buffer) {
  if (buffer.pool_ == this) hold(buffer.index_);
}

void BufferPool::end_reclaim() {
  free_buffers_.clear();
  free_records_.clear();
  for (std::size_t i = holders_.size(); i-- > 0;) {
    if (holders_[i] == 0) free_buffers_.push_back(static_cast<std::uint32_t>(i));
  }
  for (std::size_t i = records_.size(); i-- > 0;) {
    if (!records_[i].used) {
      records_[i].count = 0;
      free_records_.push_back(static_cast<std::uint32_t>(i));
    }
  }
}

}  // namespace ppvmm::net
