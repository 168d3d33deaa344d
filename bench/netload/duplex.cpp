#include "duplex.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

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

bool Duplex::due(std::uint64_t now_ns) const {
  if (said_last_) return false;
  if (finishing_ || rate_ == 0) return true;
  return chunks_out_ * out_.size() <= (now_ns - begin_ns_) * rate_ / kSecondNs;
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
      ChunkHeader header{.kind = ChunkHeader::kData, .reserved = 0, .number = chunks_out_};
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
      out_at_ = 0;
    }
    const ssize_t done =
        ::send(fd_, out_.data() + out_at_, out_.size() - out_at_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done < 0) {
      if (errno != EAGAIN && errno != EINTR) state_ = State::broken;
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
      if (errno != EAGAIN && errno != EINTR) state_ = State::broken;
      return;
    }
    if (got == 0) {
      state_ = State::broken;  // it left without saying its last
      return;
    }
    longest_silence_ns_ = std::max(longest_silence_ns_, now_ns - last_ns_);
    last_ns_ = now_ns;
    in_at_ += static_cast<std::size_t>(got);
    if (in_at_ < in_.size()) continue;
    in_at_ = 0;
    judge();
    if (state_ == State::broken) return;
  }
}

void Duplex::judge() {
  ChunkHeader header;
  std::memcpy(&header, in_.data(), sizeof header);
  if (header.number != chunks_in_ || header.reserved != 0 ||
      (header.kind != ChunkHeader::kData && header.kind != ChunkHeader::kLast)) {
    // A header is content as well: what follows it cannot be placed any more.
    if (receipt_.first_wrong == Receipt::kNone) receipt_.first_wrong = receipt_.bytes;
    state_ = State::broken;
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
  if (right < body.size() && receipt_.first_wrong == Receipt::kNone) {
    receipt_.first_wrong = place + right;
  }
  if (receipt_.first_wrong == Receipt::kNone) receipt_.bytes += body.size();
}

}  // namespace ppvmm::netload
