// What outlives a pool: which of its buffers hold packets from the wire that nobody has yet.
#include <algorithm>
#include <cstring>

#include "net/frame.hpp"

namespace ppvmm::net {
namespace {

constexpr std::uint8_t kValidated = 1;
constexpr std::uint8_t kBlank = 2;

std::uint8_t sum_of(ReceiveNote note) {
  note.sum = 0;
  std::array<std::uint64_t, 2> words;
  std::memcpy(words.data(), &note, sizeof note);
  constexpr std::uint64_t kOdd = 0x9E37'79B9'7F4A'7C15;
  return static_cast<std::uint8_t>(((words[0] * kOdd) ^ (words[1] + kOdd)) * kOdd >> 56);
}

bool believable(const ReceiveNote& note) {
  return note.length > 0 && note.sum == sum_of(note) && note.pieces > 0 &&
         note.pieces <= kFragmentsMax && note.piece < note.pieces &&
         std::size_t{note.offset} + note.length <= kBufferBytes;
}

}  // namespace

Buffer BufferPool::claim(DmaAddress address) {
  const auto page = std::ranges::find(pages_, address);
  if (page == pages_.end()) return {};
  const auto index = static_cast<std::uint32_t>(page - pages_.begin());
  const auto place = std::ranges::find(free_buffers_, index);
  if (place == free_buffers_.end()) return {};
  free_buffers_.erase(place);
  holders_[index] = 1;
  owners_[index] = owner_;
  return Buffer{this, index};
}

void BufferPool::note(const Frame& frame) {
  if (notes_.empty() || frame.pool_ != this) return;
  const Record& record = records_[frame.index_];
  ++notes_made_;
  for (std::uint16_t i = 0; i < record.count; ++i) {
    const Fragment& fragment = record.fragments[i];
    ReceiveNote note{
        .number = notes_made_,
        .offset = fragment.offset,
        .length = fragment.length,
        .piece = static_cast<std::uint8_t>(i),
        .pieces = static_cast<std::uint8_t>(record.count),
        .offload = static_cast<std::uint8_t>((record.offload.data_validated ? kValidated : 0) |
                                             (record.offload.checksum_blank ? kBlank : 0)),
        .sum = 0,
        .checksum_start = record.offload.checksum_start,
        .checksum_offset = record.offload.checksum_offset};
    note.sum = sum_of(note);
    notes_[fragment.buffer] = note;
  }
}

std::vector<Frame> BufferPool::recover() {
  struct Found {
    ReceiveNote note;
    std::uint32_t buffer;
  };
  std::vector<Found> found;
  std::erase_if(free_buffers_, [&](std::uint32_t buffer) {
    if (notes_.empty()) return false;
    const ReceiveNote note = notes_[buffer];
    notes_[buffer].length = 0;
    if (!believable(note)) return false;
    found.push_back({note, buffer});
    return true;
  });
  // Those under way lie close together, so the distance says which came first.
  std::ranges::sort(found, [](const Found& a, const Found& b) {
    const auto distance = static_cast<std::int32_t>(a.note.number - b.note.number);
    return distance != 0 ? distance < 0 : a.note.piece < b.note.piece;
  });
  std::vector<Frame> packets;
  for (std::size_t i = 0; i < found.size();) {
    const ReceiveNote& first = found[i].note;
    std::size_t end = i;
    bool whole = true;
    while (end < found.size() && found[end].note.number == first.number) {
      whole = whole && found[end].note.piece == end - i && found[end].note.pieces == first.pieces;
      ++end;
    }
    whole = whole && end - i == first.pieces;
    Frame packet = whole ? frame() : Frame{};
    for (; i < end; ++i) {
      const ReceiveNote& note = found[i].note;
      holders_[found[i].buffer] = 1;
      owners_[found[i].buffer] = owner_;
      Buffer buffer{this, found[i].buffer};
      if (packet && !packet.append(std::move(buffer), note.offset, note.length)) packet.reset();
    }
    if (!packet) continue;
    notes_made_ = first.number;
    packet.offload().data_validated = (first.offload & kValidated) != 0;
    packet.offload().checksum_blank = (first.offload & kBlank) != 0;
    packet.offload().checksum_start = first.checksum_start;
    packet.offload().checksum_offset = first.checksum_offset;
    packets.push_back(std::move(packet));
  }
  // They are under way again.
  for (const Frame& packet : packets)
    note(packet);
  return packets;
}

bool BufferPool::consistent() const {
  if (free_buffers_.size() > holders_.size() || free_records_.size() > records_.size()) {
    return false;
  }
  std::size_t held = 0;
  for (const std::uint32_t holders : holders_)
    held += holders > 0 ? 1u : 0u;
  std::size_t used = 0;
  for (const Record& record : records_) {
    if (!record.used) continue;
    ++used;
    if (record.count > kFragmentsMax || record.length > kFrameBytesMax) return false;
    for (std::uint16_t i = 0; i < record.count; ++i) {
      if (record.fragments[i].lent()) continue;
      if (record.fragments[i].buffer >= holders_.size() ||
          holders_[record.fragments[i].buffer] == 0) {
        return false;
      }
    }
  }
  return held + free_buffers_.size() == holders_.size() &&
         used + free_records_.size() == records_.size();
}

}  // namespace ppvmm::net
