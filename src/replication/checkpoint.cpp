#include "replication/checkpoint.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "store/digest.hpp"

namespace ppvmm::replication {
namespace {

std::uint64_t head_check(const Checkpoint& head, std::uint64_t key) {
  return store::digest(&head, sizeof head - sizeof head.check, key);
}

/// Between two signs of life.
constexpr std::size_t kPiece = std::size_t{64} << 10;

/// The head in the area that `serial` selects, if it is intact.
std::optional<Checkpoint> head_at(const Region& region, std::uint64_t serial) {
  Checkpoint head{};
  region.memory().read(checkpoint_offset(region.geometry(), serial),
                       std::as_writable_bytes(std::span{&head, 1}));
  if (head.serial == 0 || head.serial % 2 != serial % 2) return std::nullopt;
  if (head.check != head_check(head, region.key())) return std::nullopt;
  if (!body_bytes(region, head)) return std::nullopt;
  return head;
}

/// The check over a body: over chunks of it, each with the check so far as its seed, so that it can
/// be read in pieces.
class BodyCheck {
 public:
  static constexpr std::size_t kChunk = 4096;

  explicit BodyCheck(std::uint64_t key) : check_{key} {}

  /// What follows, in pieces of any size.
  void add(std::span<const std::byte> bytes) {
    if (pending_ > 0) {
      const auto head = bytes.first(std::min(kChunk - pending_, bytes.size()));
      std::ranges::copy(head, chunk_.begin() + static_cast<std::ptrdiff_t>(pending_));
      pending_ += head.size();
      bytes = bytes.subspan(head.size());
      if (pending_ == kChunk) flush();
    }
    for (; bytes.size() >= kChunk; bytes = bytes.subspan(kChunk)) {
      check_ = store::digest(bytes.data(), kChunk, check_);
    }
    std::ranges::copy(bytes, chunk_.begin() + static_cast<std::ptrdiff_t>(pending_));
    pending_ += bytes.size();
  }
  [[nodiscard]] std::uint64_t result() {
    if (pending_ > 0) flush();
    return check_;
  }

 private:
  void flush() { check_ = store::digest(chunk_.data(), std::exchange(pending_, 0), check_); }

  std::uint64_t check_;
  std::size_t pending_{};
  std::array<std::byte, kChunk> chunk_;  // NOLINT: filled up to pending_
};

std::expected<Restored, CheckpointError> load(const Region& region, const store::Options& options,
                                              const Checkpoint& head) {
  // One pass: copied out, then checked as what it is going to be read as.
  const std::size_t size = head.ledger_bytes + head.stream_bytes;
  const auto copy = std::make_unique_for_overwrite<std::byte[]>(size);
  const std::span body{copy.get(), size};
  const std::size_t start = checkpoint_offset(region.geometry(), head.serial) + sizeof head;
  BodyCheck check{region.key()};
  for (std::size_t done = 0; done < size;) {
    const auto part = body.subspan(done, std::min(BodyCheck::kChunk, size - done));
    region.memory().read(start + done, part);
    check.add(part);
    done += part.size();
  }
  if (check.result() != head.body_check) return std::unexpected{CheckpointError::none};
  const auto ledger = Ledger::read(body.first(head.ledger_bytes), region.geometry().slots);
  if (!ledger) return std::unexpected{CheckpointError::malformed};
  auto machine = store::Machine::load(options, body.subspan(head.ledger_bytes));
  if (!machine) return std::unexpected{CheckpointError::malformed};
  return Restored{Replica{std::move(*machine), *ledger, head.sequence},
                  LogTail{head.sequence, head.position}};
}

}  // namespace

std::optional<std::uint64_t> body_bytes(const Region& region, const Checkpoint& checkpoint) {
  const std::uint64_t room = region.geometry().checkpoint_bytes - sizeof(Checkpoint);
  if (checkpoint.ledger_bytes > room || checkpoint.stream_bytes > room - checkpoint.ledger_bytes) {
    return std::nullopt;
  }
  return checkpoint.ledger_bytes + checkpoint.stream_bytes;
}

BodyReader::BodyReader(const Region& region, const Checkpoint& checkpoint)
    : checkpoint_{checkpoint}, check_{region.key()} {}

bool BodyReader::step(const Region& region, std::uint64_t bytes) {
  std::array<std::byte, BodyCheck::kChunk> chunk;  // NOLINT: filled by read()
  const std::size_t start =
      checkpoint_offset(region.geometry(), checkpoint_.serial) + sizeof(Checkpoint);
  const std::uint64_t size = checkpoint_.ledger_bytes + checkpoint_.stream_bytes;
  const std::uint64_t end = done_ + std::min(bytes, size - done_);
  while (done_ < end) {
    const auto part = std::span{chunk}.first(std::min<std::uint64_t>(chunk.size(), size - done_));
    region.memory().read(start + done_, part);
    check_ = store::digest(part.data(), part.size(), check_);
    done_ += part.size();
  }
  return done_ == size;
}

std::optional<Checkpoint> newest_checkpoint(const Region& region) {
  const auto even = head_at(region, 0);
  const auto odd = head_at(region, 1);
  if (even && odd) return even->serial > odd->serial ? even : odd;
  return even ? even : odd;
}

void publish_checkpoint(Region& region, Checkpoint head) {
  head.check = head_check(head, region.key());
  const std::size_t at = checkpoint_offset(region.geometry(), head.serial);
  const auto bytes = std::as_bytes(std::span{&head, 1});
  region.memory().write(at, bytes.first(offsetof(Checkpoint, check)));
  region.memory().store64(at + offsetof(Checkpoint, check), head.check);
}

std::expected<Checkpoint, CheckpointError> write_checkpoint(Region& region, const LogTail& tail,
                                                            const Replica& replica) {
  if (!replica.ledger().pending().empty()) {
    return std::unexpected{CheckpointError::attach_pending};
  }
  std::vector<std::byte> ledger;
  replica.ledger().write(ledger);
  const std::vector<std::byte> stream = replica.machine().dump();

  const auto newest = newest_checkpoint(region);
  Checkpoint head{};
  head.serial = newest ? newest->serial + 1 : 1;
  head.sequence = tail.sequence;
  head.position = tail.position;
  head.ledger_bytes = ledger.size();
  head.stream_bytes = stream.size();
  if (!body_bytes(region, head)) return std::unexpected{CheckpointError::too_large};

  // The area's old head must not vouch for a body that is being replaced.
  const std::size_t at = checkpoint_offset(region.geometry(), head.serial);
  region.memory().store64(at, 0);
  region.memory().write(at + sizeof head, ledger);
  const store::Heartbeat heartbeat = replica.machine().heartbeat();
  BodyCheck check{region.key()};
  check.add(ledger);
  for (std::size_t done = 0; done < stream.size(); done += kPiece) {
    const auto piece = std::span{stream}.subspan(done, std::min(kPiece, stream.size() - done));
    region.memory().write(at + sizeof head + ledger.size() + done, piece);
    check.add(piece);
    heartbeat();
  }
  head.body_check = check.result();
  BodyReader back{region, head};
  while (!back.step(region, kPiece))
    heartbeat();
  if (!back.intact()) return std::unexpected{CheckpointError::not_written};
  publish_checkpoint(region, head);
  return head;
}

std::expected<Restored, CheckpointError> load_checkpoint(const Region& region,
                                                         const store::Options& options) {
  const auto newest = newest_checkpoint(region);
  if (!newest) return std::unexpected{CheckpointError::none};
  auto restored = load(region, options, *newest);
  if (restored) return restored;
  const auto older = head_at(region, newest->serial - 1);
  if (!older || older->serial + 1 != newest->serial) return restored;
  return load(region, options, *older);
}

}  // namespace ppvmm::replication
