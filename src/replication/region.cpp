#include "replication/region.hpp"

#include <array>
#include <bit>
#include <cstring>

#include "replication/sealed.hpp"
#include "store/digest.hpp"

namespace ppvmm::replication {
namespace {

/// Seed of the identity's own check: the key is inside, so it cannot be the seed.
constexpr std::uint64_t kIdentitySeed = 0x72656769'6F6E2031u;

/// Check over everything in front of a structure's last word, which holds it.
template <class T>
std::uint64_t check_of(const T& item, std::uint64_t seed) {
  return store::digest(&item, sizeof(T) - sizeof(std::uint64_t), seed);
}

template <class T>
std::span<std::byte> bytes_of(T& item) {
  return std::as_writable_bytes(std::span{&item, 1});
}

std::size_t digest_offset(std::uint64_t sequence) {
  return kDigestsOffset + (sequence % kDigests) * sizeof(Digest);
}

}  // namespace

std::expected<Region, RegionError> Region::format(SharedMemory memory, const Geometry& geometry,
                                                  std::uint64_t key) {
  if (!valid(geometry) || memory.size() < region_bytes(geometry)) {
    return std::unexpected{RegionError::bad_geometry};
  }
  // The old identity goes first and the new one comes last: a region half cleared is not a region.
  memory.store64(offsetof(Identity, magic), 0);
  Region region{memory, geometry, key};
  const std::array<std::byte, 4096> zeroes{};
  memory.write(sizeof(Identity), std::span{zeroes}.subspan(sizeof(Identity)));
  for (std::size_t at = kIntentsOffset; at < log_offset(geometry); at += zeroes.size()) {
    memory.write(at, zeroes);
  }
  for (const std::uint64_t serial : {0u, 1u}) {
    memory.write(checkpoint_offset(geometry, serial), std::span{zeroes}.first(sizeof(Checkpoint)));
  }
  region.set_membership({.configuration = 0, .state = Membership::State::joining});
  region.write_identity();
  return region;
}

std::expected<Region, RegionError> Region::open(SharedMemory memory) {
  if (memory.size() < kIntentsOffset) return std::unexpected{RegionError::bad_geometry};
  Identity identity{};
  memory.read(0, bytes_of(identity));
  if (identity.magic != kRegionMagic || identity.check != check_of(identity, kIdentitySeed)) {
    return std::unexpected{RegionError::not_a_region};
  }
  if (identity.version != kLayoutVersion) return std::unexpected{RegionError::bad_version};
  const Geometry geometry{identity.log_bytes, identity.checkpoint_bytes, identity.slots};
  if (!valid(geometry) || memory.size() < region_bytes(geometry)) {
    return std::unexpected{RegionError::bad_geometry};
  }
  return Region{memory, geometry, identity.key};
}

bool Region::identity_intact() const {
  const auto found = open(memory_);
  return found && found->key_ == key_ && found->geometry_ == geometry_;
}

void Region::write_identity() {
  Identity identity{.magic = kRegionMagic,
                    .version = kLayoutVersion,
                    .slots = geometry_.slots,
                    .log_bytes = geometry_.log_bytes,
                    .checkpoint_bytes = geometry_.checkpoint_bytes,
                    .key = key_,
                    .reserved = {},
                    .check = 0};
  identity.check = check_of(identity, kIdentitySeed);
  const auto bytes = bytes_of(identity);
  memory_.write(sizeof identity.magic, bytes.subspan(sizeof identity.magic));
  memory_.store64(offsetof(Identity, magic), identity.magic);
}

std::optional<std::uint64_t> Region::word(std::size_t offset) const {
  return unseal(key_, offset, memory_.load64(offset));
}

void Region::set_word(std::size_t offset, std::uint64_t value) {
  memory_.store64(offset, seal(key_, offset, value));
}

std::optional<Membership> Region::membership() const {
  const auto value = word(kMembershipOffset);
  if (!value) return std::nullopt;
  const auto state = static_cast<Membership::State>(*value & 0xFF);
  if (state < Membership::State::joining || state > Membership::State::dropped) return std::nullopt;
  return Membership{static_cast<std::uint32_t>(*value >> 8), state};
}

void Region::set_membership(Membership membership) {
  set_word(kMembershipOffset, (std::uint64_t{membership.configuration} << 8) |
                                  static_cast<std::uint64_t>(membership.state));
}

std::optional<Intent> Region::intent(std::uint32_t slot, std::uint64_t serial) const {
  Intent intent{};
  memory_.read(intent_offset(slot, serial), bytes_of(intent));
  if (intent.check != check_of(intent, key_)) return std::nullopt;
  return intent;
}

IntentWords words_of(const Intent& intent, std::uint64_t key) {
  IntentWords words{intent.serial,
                    intent.epoch,
                    intent.in_after,
                    intent.out_after,
                    intent.logged_after,
                    intent.in_count | std::uint64_t{intent.out_count} << 32,
                    intent.logged_count | std::uint64_t{intent.domid} << 32 |
                        std::uint64_t{intent.reserved} << 48,
                    0};
  words.back() = check_of(words, key);
  return words;
}

std::optional<std::uint64_t> Region::digest(std::uint64_t sequence) const {
  Digest digest{};
  memory_.read(digest_offset(sequence), bytes_of(digest));
  if (digest.sequence != sequence || digest.check != check_of(digest, key_)) return std::nullopt;
  return digest.digest;
}

void Region::set_digest(std::uint64_t sequence, std::uint64_t value) {
  Digest digest{.sequence = sequence, .digest = value, .reserved = 0, .check = 0};
  digest.check = check_of(digest, key_);
  memory_.write(digest_offset(sequence), bytes_of(digest));
}

}  // namespace ppvmm::replication
