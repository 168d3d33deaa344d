#include "xenbus/link.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace ppvmm::xenbus {
namespace {

/// A store that the compiler neither moves nor leaves out: its order is what the next life relies
/// on. One processor dies as a whole, so the order of the program is all it takes.
void note(std::uint32_t& word, std::uint32_t value) {
  std::atomic_ref{word}.store(value, std::memory_order_seq_cst);
}

std::uint32_t load(std::uint32_t& word) {
  return std::atomic_ref{word}.load(std::memory_order_acquire);
}

}  // namespace

Link::Link(store::RingPage& page, StreamRecord& record, bool reborn)
    : page_(&page), record_(&record), ring_(page) {
  if (!reborn) {
    record_->request_end = record_->request_begin = load(page_->req_prod);
    record_->response_end = record_->response_begin = load(page_->rsp_cons);
    return;
  }
  const std::uint32_t request = record_->request_end - record_->request_begin;
  const std::uint32_t written = load(page_->req_prod) - record_->request_begin;
  if (request <= kMessageMax && written > 0 && written < request) {
    sending_ = true;
    sent_ = written;
    request_bytes_ = request;
  }
  const std::uint32_t response = record_->response_end - record_->response_begin;
  const std::uint32_t read = load(page_->rsp_cons) - record_->response_begin;
  if (response <= kMessageMax && read > 0 && read < response) skip_ = response - read;
}

bool Link::send(store::MessageType type, std::uint32_t request_id, std::uint32_t transaction_id,
                std::span<const std::string_view> parts) {
  std::size_t length = 0;
  for (const std::string_view part : parts)
    length += part.size();
  if (length > store::kPayloadMax) return false;
  const store::MessageHeader header{.type = type,
                                    .request_id = request_id,
                                    .transaction_id = transaction_id,
                                    .length = static_cast<std::uint32_t>(length)};
  std::vector<std::byte> message(sizeof header + length);
  std::memcpy(message.data(), &header, sizeof header);
  std::size_t at = sizeof header;
  for (const std::string_view part : parts) {
    std::ranges::copy(std::as_bytes(std::span{part}), message.begin() + static_cast<long>(at));
    at += part.size();
  }
  outgoing_.push_back(std::move(message));
  return true;
}

bool Link::pump(Receiver& receiver) {
  bool notify = false;
  while (!broken_) {
    const bool pushed = push();
    const bool pulled = pull(receiver);
    if (!pushed && !pulled) break;
    notify = true;
  }
  return notify;
}

void Link::begin_request() {
  const std::vector<std::byte>& message = outgoing_.front();
  // What was noted before is complete, so this empties the range.
  note(record_->request_begin, record_->request_end);
  note(record_->request_begin, load(page_->req_prod));
  note(record_->request_end, record_->request_begin);
  std::ranges::copy(message, record_->request.begin());
  request_bytes_ = message.size();
  sent_ = 0;
  sending_ = true;
  note(record_->request_end, record_->request_begin + static_cast<std::uint32_t>(request_bytes_));
  outgoing_.pop_front();
}

bool Link::push() {
  bool moved = false;
  while (sending_ || !outgoing_.empty()) {
    if (!sending_) begin_request();
    const auto written =
        ring_.requests.write(std::span{record_->request}.subspan(sent_, request_bytes_ - sent_));
    if (!written) {
      broken_ = true;
      return moved;
    }
    if (*written == 0) break;
    moved = true;
    sent_ += *written;
    sending_ = sent_ < request_bytes_;
  }
  return moved;
}

bool Link::pull(Receiver& receiver) {
  constexpr std::size_t kHeader = sizeof(store::MessageHeader);
  bool moved = false;
  while (!broken_) {
    std::array<std::byte, store::kRingBytes> bytes;
    const auto peeked = ring_.responses.peek(bytes);
    if (!peeked) {
      broken_ = true;
      break;
    }
    if (*peeked == 0) break;
    if (skip_ > 0) {
      const std::size_t count = std::min(skip_, *peeked);
      ring_.responses.consume(count);
      skip_ -= count;
      moved = true;
      continue;
    }
    store::MessageHeader header;
    if (received_ == 0) {
      if (*peeked < kHeader) break;  // the header is taken as a whole
      std::memcpy(&header, bytes.data(), kHeader);
      if (header.length > store::kPayloadMax) {
        broken_ = true;
        break;
      }
      const std::uint32_t begin = load(page_->rsp_cons);
      note(record_->response_begin, begin);
      note(record_->response_end, begin + static_cast<std::uint32_t>(kHeader) + header.length);
    } else {
      std::memcpy(&header, incoming_.data(), kHeader);
    }
    const std::size_t count = std::min(kHeader + header.length - received_, *peeked);
    std::memcpy(incoming_.data() + received_, bytes.data(), count);
    received_ += count;
    ring_.responses.consume(count);
    moved = true;
    if (received_ == kHeader + header.length) {
      received_ = 0;
      receiver.message(header,
                       {reinterpret_cast<const char*>(incoming_.data()) + kHeader, header.length});
    }
  }
  return moved;
}

}  // namespace ppvmm::xenbus
