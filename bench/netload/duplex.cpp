#include "duplex.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "pattern.hpp"
#include "socket.hpp"

namespace ppvmm::netload {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

}  // namespace

Duplex::Duplex(int fd, std::uint32_t chunk, std::uint64_t seed_out, std::uint64_t seed_in,
               std::uint64_t rate)
    : fd_(fd),
      seed_out_(seed_out),
      seed_in_(seed_in),
      rate_(rate),
      begin_ns_(now_ns()),
      out_(std::max<std::size_t>(chunk, kSmallestChunk)),
      out_at_(out_.size()),
      in_(out_.size()),
      last_ns_(begin_ns_) {
  (void)fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
}

std::uint64_t Duplex::due_ns() const {
  if (said_last_) return ~std::uint64_t{0};
  if (finishing_ || rate_ == 0) return 0;
  // Rounded up: whoever wakes up then finds it due.
  return begin_ns_ + (chunks_out_ * out_.size() * kSecondNs + rate_ - 1) / rate_;
}

bool Duplex::due(std::uint64_t now_ns) const {
  return due_ns() <= now_ns;
}

short Duplex::wants(std::uint64_t now_ns) const {
  const bool writes = out_at_ < out_.size() || due(now_ns);
  return static_cast<short>(POLLIN | (writes ? POLLOUT : 0));
}

void Duplex::work(std::uint64_t now_ns) {
  if (state_ == State::streaming || state_ == State::ending) read_some(now_ns);
  if (state_ == State::streaming || state_ == State::ending) write_some(now_ns);
  settle();
}

void Duplex::settle() {
  if (state_ == State::broken) return;
  const bool all_out = said_last_ && out_at_ == out_.size();
  if (all_out) state_ = heard_last_ ? State::done : State::ending;
}

void Duplex::write_some(std::uint64_t now_ns) {
  while (out_at_ < out_.size() || due(now_ns)) {
    if (out_at_ == out_.size()) {
      const bool wrong = receipt_.first_wrong != Receipt::kNone;
      ChunkHeader header{.kind = ChunkHeader::kData,
                         .heard = static_cast<std::uint32_t>(chunks_in_ % ChunkHeader::kWrong) |
                                  (wrong ? ChunkHeader::kWrong : 0),
                         .number = chunks_out_};
      if (finishing_) {
        // The starter's last says nothing yet of what still comes; the answer to it says all.
        header.kind = ChunkHeader::kLast;
        said_last_ = true;
        std::memset(out_.data(), 0, out_.size());
        std::memcpy(out_.data() + sizeof header, &receipt_, sizeof receipt_);
      } else {
        const std::span<std::byte> body = std::span(out_).subspan(sizeof header);
        fill_pattern(seed_out_, sent_pattern_, body);
        sent_pattern_ += body.size();
      }
      std::memcpy(out_.data(), &header, sizeof header);
      ++chunks_out_;
      begun_ns_.push_back(now_ns);
      out_at_ = 0;
    }
    const ssize_t done =
        ::send(fd_, out_.data() + out_at_, out_.size() - out_at_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done < 0) {
      if (errno != EAGAIN && errno != EINTR) break_off(std::strerror(errno), now_ns);
      return;
    }
    out_at_ += static_cast<std::size_t>(done);
  }
}

void Duplex::read_some(std::uint64_t now_ns) {
  constexpr int kTurns = 64;  // then the others' turn
  for (int turn = 0; turn < kTurns && !heard_last_; ++turn) {
    const ssize_t got = ::recv(fd_, in_.data() + in_at_, in_.size() - in_at_, MSG_DONTWAIT);
    if (got < 0) {
      if (errno != EAGAIN && errno != EINTR) break_off(std::strerror(errno), now_ns);
      return;
    }
    if (got == 0) {
      break_off("the other end left without saying its last", now_ns);
      return;
    }
    longest_silence_ns_ = std::max(longest_silence_ns_, now_ns - last_ns_);
    last_ns_ = now_ns;
    in_at_ += static_cast<std::size_t>(got);
    if (in_at_ < in_.size()) continue;
    in_at_ = 0;
    judge(now_ns);
    if (state_ == State::broken) return;
  }
}

void Duplex::break_off(std::string why, std::uint64_t now_ns) {
  state_ = State::broken;
  why_ = std::move(why);
  broken_ns_ = now_ns;
}

void Duplex::wrong_at(std::uint64_t place, std::uint64_t now_ns) {
  if (receipt_.first_wrong != Receipt::kNone) return;
  receipt_.first_wrong = place;
  if (wrong_ns_ == 0) wrong_ns_ = now_ns;
}

/// Takes the other end's word of how many of our chunks it has. False: that cannot be.
bool Duplex::heard(std::uint32_t count, std::uint64_t now_ns) {
  if ((count & ChunkHeader::kWrong) != 0 && wrong_ns_ == 0) wrong_ns_ = now_ns;
  const std::uint64_t more =
      (count - static_cast<std::uint32_t>(chunks_heard_)) % ChunkHeader::kWrong;
  if (more > begun_ns_.size()) return false;
  if (more == 0) return true;
  served_ns_ = begun_ns_[more - 1];
  begun_ns_.erase(begun_ns_.begin(), begun_ns_.begin() + static_cast<std::ptrdiff_t>(more));
  chunks_heard_ += more;
  return true;
}

void Duplex::judge(std::uint64_t now_ns) {
  ChunkHeader header;
  std::memcpy(&header, in_.data(), sizeof header);
  if (header.number != chunks_in_ || !heard(header.heard, now_ns) ||
      (header.kind != ChunkHeader::kData && header.kind != ChunkHeader::kLast)) {
    // A header is content as well: what follows it cannot be placed any more.
    wrong_at(receipt_.bytes, now_ns);
    break_off("a chunk's header is wrong", now_ns);
    return;
  }
  ++chunks_in_;
  if (header.kind == ChunkHeader::kLast) {
    Receipt told;
    std::memcpy(&told, in_.data() + sizeof header, sizeof told);
    theirs_ = told;
    heard_last_ = true;
    finishing_ = true;
    return;
  }
  const std::span<const std::byte> body = std::span<const std::byte>(in_).subspan(sizeof header);
  const std::uint64_t place = (chunks_in_ - 1) * body.size();
  const std::size_t right = first_wrong(seed_in_, place, body);
  if (right < body.size()) wrong_at(place + right, now_ns);
  if (receipt_.first_wrong == Receipt::kNone) receipt_.bytes += body.size();
}

}  // namespace ppvmm::netload
