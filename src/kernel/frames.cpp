#include "kernel/frames.hpp"

#include <algorithm>
#include <bit>

namespace ppvmm::kernel {

Frames::Frames(std::span<FrameInfo> info) : info_(info) {
  lists_.fill(kNoFrame);
}

void Frames::insert(Frame head, unsigned order) {
  FrameInfo& block = info_[head];
  block.use = FrameUse::free_head;
  block.order = static_cast<std::uint8_t>(order);
  block.previous = kNoFrame;
  block.next = lists_[order];
  if (block.next != kNoFrame) info_[block.next].previous = head;
  lists_[order] = head;
  filled_ |= 1u << order;
}

void Frames::remove(Frame head) {
  const FrameInfo& block = info_[head];
  if (block.previous != kNoFrame) {
    info_[block.previous].next = block.next;
  } else {
    lists_[block.order] = block.next;
    if (block.next == kNoFrame) filled_ &= ~(1u << block.order);
  }
  if (block.next != kNoFrame) info_[block.next].previous = block.previous;
}

void Frames::merge_in(Frame head, unsigned order) {
  while (order + 1 < kOrders) {
    const Frame buddy = head ^ (Frame{1} << order);
    if (buddy >= info_.size() || info_[buddy].use != FrameUse::free_head ||
        info_[buddy].order != order) {
      break;
    }
    remove(buddy);
    info_[buddy].use = FrameUse::body;
    info_[head].use = FrameUse::body;
    head &= ~(Frame{1} << order);
    ++order;
  }
  insert(head, order);
}

void Frames::give(Frame first, Frame count) {
  free_ += count;
  // Cut the range into the largest naturally aligned blocks.
  while (count > 0) {
    unsigned order = kOrders - 1;
    if (first != 0) {
      order = std::min(order, static_cast<unsigned>(std::countr_zero(first)));
    }
    order = std::min(order, static_cast<unsigned>(std::bit_width(count)) - 1);
    const Frame length = Frame{1} << order;
    info_[first].use = FrameUse::body;
    merge_in(first, order);
    first += length;
    count -= length;
  }
}

std::optional<Frame> Frames::take(Frame count) {
  if (count == 0 || count > (Frame{1} << (kOrders - 1))) return std::nullopt;
  const auto wanted = static_cast<unsigned>(std::bit_width(count - 1));
  const std::uint32_t usable = filled_ & ~((1u << wanted) - 1);
  if (usable == 0) return std::nullopt;
  const auto order = static_cast<unsigned>(std::countr_zero(usable));
  const Frame head = lists_[order];
  remove(head);
  const Frame length = Frame{1} << order;
  free_ -= length;
  info_[head].use = FrameUse::run_head;
  info_[head].next = count;
  if (count < length) give(head + count, length - count);
  return head;
}

void Frames::adopt(Frame first, Frame count) {
  info_[first].use = FrameUse::run_head;
  info_[first].next = count;
}

Frame Frames::run_length(Frame first) const {
  if (first >= info_.size() || info_[first].use != FrameUse::run_head) return 0;
  return info_[first].next;
}

bool Frames::release(Frame first) {
  const Frame count = run_length(first);
  if (count == 0) return false;
  give(first, count);
  return true;
}

}  // namespace ppvmm::kernel
