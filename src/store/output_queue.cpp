#include "store/output_queue.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "store/digest.hpp"

namespace ppvmm::store {
namespace {

// Sent bytes are thrown away in pieces of at least this size, so that each is moved only once.
constexpr std::size_t kTrimBytes = std::size_t{64} * 1024;

std::uint64_t event_hash(std::string_view path, std::string_view token) {
  return digest(token, digest(path));
}

}  // namespace

std::span<char> OutputQueue::append(const MessageHeader& header, Message message) {
  const std::size_t at = bytes_.size();
  message.start = base_ + at;
  message.size = static_cast<std::uint32_t>(sizeof(header) + header.length);
  bytes_.resize(at + message.size);
  std::memcpy(bytes_.data() + at, &header, sizeof(header));
  messages_.push_back(message);
  return {reinterpret_cast<char*>(bytes_.data() + at + sizeof(header)), header.length};
}

std::span<char> OutputQueue::add_answer(const MessageHeader& header, Cause cause) {
  return append(header, Message{.cause = cause});
}

void OutputQueue::add_event(std::string_view path, std::string_view token,
                            std::uint64_t deadline_ms, Cause cause) {
  const MessageHeader header{.type = MessageType::watch_event,
                             .length = static_cast<std::uint32_t>(path.size() + token.size() + 2)};
  const std::span<char> payload = append(header, Message{.event = true,
                                                         .deadline_ms = deadline_ms,
                                                         .hash = event_hash(path, token),
                                                         .cause = cause});
  const auto end_of_path = std::copy(path.begin(), path.end(), payload.begin());
  *end_of_path = '\0';
  *std::copy(token.begin(), token.end(), end_of_path + 1) = '\0';
  events_.insert(messages_.back().hash, &messages_.back());
}

std::string_view OutputQueue::payload_of(const Message& message) const {
  const std::size_t at = static_cast<std::size_t>(message.start - base_) + sizeof(MessageHeader);
  return {reinterpret_cast<const char*>(bytes_.data() + at), message.size - sizeof(MessageHeader)};
}

bool OutputQueue::has_event(std::string_view path, std::string_view token) const {
  const auto same = [&](const Message& message) {
    const std::string_view payload = payload_of(message);
    return payload.size() == path.size() + token.size() + 2 && payload.starts_with(path) &&
           payload.substr(path.size() + 1, token.size()) == token && payload[path.size()] == '\0';
  };
  return events_.find(event_hash(path, token), same) != nullptr;
}

void OutputQueue::forget_event(const Message& message) {
  if (message.event) events_.erase(message.hash, &message);
}

std::optional<std::uint64_t> OutputQueue::next_deadline_ms() const {
  bool partly_sent = sent_of_first_ > 0;
  for (const Message& message : messages_) {
    if (!std::exchange(partly_sent, false) && message.deadline_ms != 0) return message.deadline_ms;
  }
  return std::nullopt;
}

void OutputQueue::close_gaps() {
  std::vector<std::byte> kept;
  kept.reserve(size());
  std::deque<Message> messages;
  events_ = {};
  std::size_t already_sent = sent_of_first_;  // of the first message, before head_
  for (const Message& message : messages_) {
    const std::size_t skip = std::exchange(already_sent, 0);
    if (message.deadline_ms == kExpired) continue;
    const auto from = bytes_.begin() + static_cast<std::ptrdiff_t>(message.start + skip - base_);
    Message moved = message;
    moved.start =
        kept.size() - skip;  // wraps for a partly sent one, whose payload is not looked at
    kept.insert(kept.end(), from, from + static_cast<std::ptrdiff_t>(message.size - skip));
    messages.push_back(moved);
    if (moved.event && skip == 0) events_.insert(moved.hash, &messages.back());
  }
  bytes_ = std::move(kept);
  messages_ = std::move(messages);
  // The deque's elements moved with it: their addresses stay what the table knows.
  base_ = 0;
  head_ = 0;
}

void OutputQueue::trim() {
  if (head_ == bytes_.size()) {
    base_ += head_;
    bytes_.clear();
    head_ = 0;
    // A burst's memory is not kept for ever.
    if (bytes_.capacity() > kTrimBytes) bytes_.shrink_to_fit();
  } else if (head_ >= kTrimBytes) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(head_));
    base_ += head_;
    head_ = 0;
  }
}

bool OutputQueue::restore(std::span<const std::byte> bytes, std::size_t partial,
                          std::uint64_t deadline_ms) {
  if (partial > bytes.size()) return false;
  std::deque<Message> messages;
  if (partial > 0) messages.push_back({.start = 0, .size = static_cast<std::uint32_t>(partial)});
  for (std::size_t at = partial; at < bytes.size();) {
    MessageHeader header;
    if (bytes.size() - at < sizeof(header)) return false;
    std::memcpy(&header, bytes.data() + at, sizeof(header));
    if (header.length > kPayloadMax || bytes.size() - at - sizeof(header) < header.length) {
      return false;
    }
    Message message{.start = at,
                    .size = static_cast<std::uint32_t>(sizeof(header) + header.length)};
    if (header.type == MessageType::watch_event) {
      const Payload payload(bytes.subspan(at + sizeof(header), header.length));
      const auto strings = payload.exactly<2>();
      if (!strings) return false;
      message.event = true;
      message.deadline_ms = deadline_ms;
      message.hash = event_hash((*strings)[0], (*strings)[1]);
    }
    messages.push_back(message);
    at += message.size;
  }
  bytes_.assign(bytes.begin(), bytes.end());
  base_ = 0;
  messages_ = std::move(messages);
  for (Message& message : messages_) {
    if (message.event) events_.insert(message.hash, &message);
  }
  return true;
}

bool OutputQueue::restore_sent(std::size_t count) {
  if (messages_.empty()) return false;
  Message& first = messages_.front();
  if (first.size + count > sizeof(MessageHeader) + kPayloadMax) return false;
  forget_event(first);
  first.event = false;
  first.start -= count;  // before the bytes that are kept: never looked at
  first.size += static_cast<std::uint32_t>(count);
  sent_of_first_ = count;
  return true;
}

}  // namespace ppvmm::store
