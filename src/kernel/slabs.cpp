#include "kernel/slabs.hpp"

#include <cstring>

namespace ppvmm::kernel {
namespace {

constexpr std::uint16_t kNoObject = 0xFFFF;
constexpr std::size_t kGrain = 16;

/// Class of each size in grains, so that finding it is one load.
constexpr auto kClassOf = [] {
  std::array<std::uint8_t, kLargestSlabObject / kGrain + 1> table{};
  std::size_t size_class = 0;
  for (std::size_t grains = 0; grains < table.size(); ++grains) {
    while (kSlabSizes[size_class] < grains * kGrain)
      ++size_class;
    table[grains] = static_cast<std::uint8_t>(size_class);
  }
  return table;
}();

static_assert([] {
  for (std::size_t i = 0; i < kSlabSizes.size(); ++i) {
    if (kSlabSizes[i] % kGrain != 0) return false;
    if (i > 0 && kSlabSizes[i] <= kSlabSizes[i - 1]) return false;
  }
  return true;
}());

}  // namespace

std::size_t slab_class(std::size_t bytes) {
  return kClassOf[(bytes + kGrain - 1) / kGrain];
}

Slabs::Slabs(Frames& frames, std::byte* base) : frames_(&frames), base_(base) {
  partial_.fill(kNoFrame);
}

void Slabs::link(Frame frame, std::size_t size_class) {
  FrameInfo& info = frames_->info()[frame];
  info.previous = kNoFrame;
  info.next = partial_[size_class];
  if (info.next != kNoFrame) frames_->info()[info.next].previous = frame;
  partial_[size_class] = frame;
}

void Slabs::unlink(Frame frame, std::size_t size_class) {
  const FrameInfo& info = frames_->info()[frame];
  if (info.previous != kNoFrame) {
    frames_->info()[info.previous].next = info.next;
  } else {
    partial_[size_class] = info.next;
  }
  if (info.next != kNoFrame) frames_->info()[info.next].previous = info.previous;
}

void* Slabs::take(std::size_t size_class) {
  Frame frame = partial_[size_class];
  if (frame == kNoFrame) {
    const auto fresh = frames_->take(1);
    if (!fresh) return nullptr;
    frame = *fresh;
    FrameInfo& info = frames_->info()[frame];
    info.use = FrameUse::slab;
    info.order = static_cast<std::uint8_t>(size_class);
    info.used = 0;
    info.free_object = kNoObject;
    info.untouched = 0;
    link(frame, size_class);
    ++pages_;
  }
  FrameInfo& info = frames_->info()[frame];
  std::uint16_t index = info.free_object;
  std::byte* const start = page(frame);
  if (index != kNoObject) {
    // A free object's first two bytes name the next free one.
    std::memcpy(&info.free_object, start + std::size_t{index} * kSlabSizes[size_class],
                sizeof(info.free_object));
  } else {
    index = info.untouched++;
  }
  if (++info.used == slab_objects(size_class)) unlink(frame, size_class);
  ++objects_[size_class];
  return start + std::size_t{index} * kSlabSizes[size_class];
}

bool Slabs::release(void* object) {
  const auto offset = static_cast<std::size_t>(static_cast<std::byte*>(object) - base_);
  const std::size_t frame_index = offset / kFrameBytes;
  if (frame_index >= frames_->info().size()) return false;
  const auto frame = static_cast<Frame>(frame_index);
  FrameInfo& info = frames_->info()[frame];
  if (info.use != FrameUse::slab || info.used == 0) return false;
  const std::size_t size_class = info.order;
  const std::size_t size = kSlabSizes[size_class];
  const auto index = static_cast<std::uint16_t>(offset % kFrameBytes / size);
  if (offset % kFrameBytes % size != 0 || index >= info.untouched) return false;

  std::memcpy(object, &info.free_object, sizeof(info.free_object));
  info.free_object = index;
  --objects_[size_class];
  if (info.used-- == slab_objects(size_class)) {
    link(frame, size_class);
  } else if (info.used == 0 && (info.next != kNoFrame || info.previous != kNoFrame)) {
    unlink(frame, size_class);
    info.use = FrameUse::run_head;
    info.next = 1;
    --pages_;
    return frames_->release(frame);
  }
  return true;
}

}  // namespace ppvmm::kernel
