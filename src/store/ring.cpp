#include "store/ring.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace ppvmm::store {
namespace {

// The peer may run on another processor, so even an image with one vCPU needs real atomics here.
// Acquire and release pair up across the page: a producer publishes its index after the bytes, a
// consumer frees the bytes after it has copied them.

std::uint32_t load(std::uint32_t& word) {
  return std::atomic_ref{word}.load(std::memory_order_acquire);
}

void publish(std::uint32_t& word, std::uint32_t value) {
  std::atomic_ref{word}.store(value, std::memory_order_release);
}

struct Indexes {
  std::uint32_t consumer;
  std::uint32_t used;
};

/// Reads both indexes once. They run freely modulo 2^32, so their difference is what counts.
std::expected<Indexes, RingError> read_indexes(std::uint32_t& consumer, std::uint32_t& producer) {
  const std::uint32_t cons = load(consumer);
  const std::uint32_t used = load(producer) - cons;
  if (used > kRingBytes) return std::unexpected{RingError::bad_indexes};
  return Indexes{cons, used};
}

/// A range of the queue starting at index `at`, split where the queue's memory ends.
struct Chunks {
  std::size_t offset;
  std::size_t first;   ///< Bytes from `offset` on.
  std::size_t second;  ///< Bytes from the queue's start.
};

Chunks split(std::uint32_t at, std::size_t count) {
  const std::size_t offset = at % kRingBytes;
  const std::size_t first = std::min(count, kRingBytes - offset);
  return {offset, first, count - first};
}

}  // namespace

std::expected<std::size_t, RingError> RingReader::peek(std::span<std::byte> out) {
  const auto indexes = read_indexes(*consumer_, *producer_);
  if (!indexes) return std::unexpected{indexes.error()};
  position_ = indexes->consumer;
  const std::size_t count = std::min<std::size_t>(indexes->used, out.size());
  if (count == 0) return 0;
  const Chunks chunks = split(position_, count);
  std::memcpy(out.data(), queue_ + chunks.offset, chunks.first);
  std::memcpy(out.data() + chunks.first, queue_, chunks.second);
  // From here on only the copy counts: the compiler must not look at the shared bytes again.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return count;
}

void RingReader::consume(std::size_t count) {
  position_ += static_cast<std::uint32_t>(count);
  publish(*consumer_, position_);
}

std::expected<std::size_t, RingError> RingWriter::write(std::span<const std::byte> bytes) {
  const auto indexes = read_indexes(*consumer_, *producer_);
  if (!indexes) return std::unexpected{indexes.error()};
  const std::size_t count = std::min<std::size_t>(kRingBytes - indexes->used, bytes.size());
  if (count == 0) return 0;
  const std::uint32_t producer = indexes->consumer + indexes->used;
  const Chunks chunks = split(producer, count);
  std::memcpy(queue_ + chunks.offset, bytes.data(), chunks.first);
  std::memcpy(queue_, bytes.data() + chunks.first, chunks.second);
  publish(*producer_, producer + static_cast<std::uint32_t>(count));
  return count;
}

ServerRing::ServerRing(RingPage& page)
    : requests{page.req, page.req_cons, page.req_prod},
      responses{page.rsp, page.rsp_cons, page.rsp_prod},
      page_{&page} {}

void ServerRing::advertise() {
  std::atomic_ref{page_->server_features}.fetch_or(kFeatures, std::memory_order_release);
}

bool ServerRing::reconnect_requested() const {
  return load(page_->connection) == XENSTORE_RECONNECT;
}

void ServerRing::reset() {
  for (std::uint32_t* index :
       {&page_->req_cons, &page_->req_prod, &page_->rsp_cons, &page_->rsp_prod}) {
    publish(*index, 0);
  }
  publish(page_->error, XENSTORE_ERROR_NONE);
  publish(page_->connection, XENSTORE_CONNECTED);
}

void ServerRing::report(std::uint32_t error) {
  publish(page_->error, error);
}

ClientRing::ClientRing(RingPage& page)
    : requests{page.req, page.req_cons, page.req_prod},
      responses{page.rsp, page.rsp_cons, page.rsp_prod},
      page_{&page} {}

std::uint32_t ClientRing::features() const {
  return load(page_->server_features);
}

std::uint32_t ClientRing::error() const {
  return load(page_->error);
}

bool ClientRing::request_reconnect() {
  if ((features() & XENSTORE_SERVER_FEATURE_RECONNECTION) == 0) return false;
  publish(page_->connection, XENSTORE_RECONNECT);
  return true;
}

bool ClientRing::connected() const {
  return load(page_->connection) == XENSTORE_CONNECTED;
}

}  // namespace ppvmm::store
