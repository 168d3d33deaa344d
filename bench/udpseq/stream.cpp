#include "stream.hpp"

#include <sys/socket.h>
#include <time.h>

#include <algorithm>

namespace ppvmm::udpseq {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
/// After the system had no room. Without a pause a sender whose network is down would take a whole
/// processor, and whoever is to bring the network back may need that one.
constexpr std::uint64_t kRoomPauseNs = 2'000'000;

}  // namespace

std::uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

Stream::Stream(int socket, const sockaddr_in& peer, const Plan& plan)
    : socket_(socket),
      peer_(peer),
      plan_(plan),
      begin_ns_(now_ns()),
      counter_(plan.count),
      packet_(std::max(plan.size, sizeof(Header))) {
  drops_before_ = static_cast<std::uint32_t>(counter().tally().overflowed);
}

const Counter& Stream::counter() {
  // linux/sock_diag.h, SK_MEMINFO_*: the ninth is the number of packets dropped.
  constexpr std::size_t kDrops = 8;
  std::array<std::uint32_t, 16> info{};
  socklen_t length = sizeof info;
  if (getsockopt(socket_, SOL_SOCKET, SO_MEMINFO, info.data(), &length) == 0 &&
      length > kDrops * sizeof info[0]) {
    counter_.overflowed(info[kDrops] - drops_before_);
  }
  return counter_;
}

bool Stream::send(std::span<const std::byte> bytes) const {
  return sendto(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT,
                reinterpret_cast<const sockaddr*>(&peer_),
                sizeof peer_) == static_cast<ssize_t>(bytes.size());
}

std::uint64_t Stream::next_ns() const {
  if (all_sent()) return ~std::uint64_t{0};
  return std::max(begin_ns_ + sent_ * kSecond / plan_.rate, paused_until_ns_);
}

void Stream::send_due() {
  constexpr int kBurst = 64;
  for (int i = 0; i < kBurst && !all_sent() && now_ns() >= next_ns(); ++i) {
    fill(packet_, {.magic = kMagic,
                   .kind = Kind::data,
                   .run = plan_.run,
                   .number = sent_,
                   .rate = plan_.peer_rate,
                   .limit = plan_.count,
                   .heard = {.end = counter_.end(),
                             .unique = counter_.tally().unique,
                             .foreign = counter_.tally().foreign}});
    if (!send(packet_)) {
      paused_until_ns_ = now_ns() + kRoomPauseNs;
      return;
    }
    ++sent_;
    if (journal_) journal_->sent(now_ns());
  }
}

void Stream::take(std::span<const std::byte> packet) {
  const auto header = header_of(packet);
  if (!header || header->run != plan_.run) return;  // of an earlier run
  switch (header->kind) {
    case Kind::data:
      if (!intact(packet, *header)) {
        counter_.foreign();
        if (journal_) journal_->damaged_back(now_ns());
      } else {
        counter_.arrived(header->number, now_ns());
        if (journal_) journal_->arrived(header->number, header->heard, now_ns());
      }
      return;
    case Kind::finish:
      stop();
      answer();
      return;
    case Kind::report:
      if (packet.size() >= sizeof(Report)) {
        Report report;
        std::memcpy(&report, packet.data(), sizeof report);
        report_ = report;
      }
      return;
  }
}

void Stream::ask() {
  const Header header{.magic = kMagic,
                      .kind = Kind::finish,
                      .run = plan_.run,
                      .number = sent_,
                      .rate = 0,
                      .limit = 0,
                      .heard = {}};
  (void)send(std::as_bytes(std::span(&header, 1)));
}

void Stream::answer() {
  const Report report{.header = {.magic = kMagic,
                                 .kind = Kind::report,
                                 .run = plan_.run,
                                 .number = sent_,
                                 .rate = 0,
                                 .limit = 0,
                                 .heard = {}},
                      .tally = counter().tally()};
  (void)send(std::as_bytes(std::span(&report, 1)));
}

}  // namespace ppvmm::udpseq
