#include "replication/checkpoint.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "store/digest.hpp"

namespace ppvmm::replication {
namespace {

std::uint64_t head_check(const Checkpoint& head, std::uint64_t key) {
  return store::digest(&head, sizeof head - sizeof head.check, key);
}

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

std::expected<Restored, CheckpointError> load(const Region& region, const store::Options& options,
                                              const Checkpoint& head) {
  if (body_check(region, head) != head.body_check) return std::unexpected{CheckpointError::none};
  std::vector<std::byte> body(head.ledger_bytes + head.stream_bytes);
  region.memory().read(checkpoint_offset(region.geometry(), head.serial) + sizeof head, body);
  const auto ledger =
      Ledger::read(std::span{body}.first(head.ledger_bytes), region.geometry().slots);
  if (!ledger) return std::unexpected{CheckpointError::malformed};
  auto machine = store::Machine::load(options, std::span{body}.subspan(head.ledger_bytes));
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

std::uint64_t body_check(const Region& region, const Checkpoint& checkpoint) {
  std::array<std::byte, 4096> chunk;  // NOLINT: filled by read()
  const std::size_t start =
      checkpoint_offset(region.geometry(), checkpoint.serial) + sizeof(Checkpoint);
  const std::uint64_t size = checkpoint.ledger_bytes + checkpoint.stream_bytes;
  std::uint64_t check = region.key();
  for (std::uint64_t done = 0; done < size;) {
    const auto part = std::span{chunk}.first(std::min<std::uint64_t>(chunk.size(), size - done));
    region.memory().read(start + done, part);
    check = store::digest(part.data(), part.size(), check);
    done += part.size();
  }
  return check;
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
  region.memory().write(at + sizeof head + ledger.size(), stream);

  std::vector<std::byte> body = std::move(ledger);
  body.insert(body.end(), stream.begin(), stream.end());
  head.body_check = region.key();
  for (std::size_t done = 0; done < body.size();) {
    const std::size_t count = std::min<std::size_t>(4096, body.size() - done);
    head.body_check = store::digest(body.data() + done, count, head.body_check);
    done += count;
  }
  if (body_check(region, head) != head.body_check) {
    return std::unexpected{CheckpointError::not_written};
  }
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
