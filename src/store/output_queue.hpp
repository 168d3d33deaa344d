/// What waits to be sent to one client: answers and watch events, oldest first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "store/pointer_table.hpp"
#include "store/types.hpp"
#include "store/wire.hpp"

namespace ppvmm::store {

/// The request that led to a message, so that the requester's count of outstanding requests falls
/// when the last of its messages is read, whoever reads it. Serial 0: nobody's.
struct Cause {
  ConnId requester{};
  std::uint32_t ticket{};
  std::uint32_t serial{};
};

class OutputQueue {
 public:
  struct Message {
    std::uint64_t start{};  ///< Position in the stream of all bytes queued so far.
    std::uint32_t size{};   ///< Header included; 0 when the message expired.
    bool event{};
    std::uint64_t
        deadline_ms{};     ///< Events only: when it expires if nothing of it was sent; 0: never.
    std::uint64_t hash{};  ///< Events only: of the payload.
    Cause cause{};
  };

  /// Queues an answer and returns the place of its payload, to be filled at once.
  std::span<char> add_answer(const MessageHeader& header, Cause cause);
  /// Queues a watch event: path and token, NUL-terminated each.
  void add_event(std::string_view path, std::string_view token, std::uint64_t deadline_ms,
                 Cause cause);
  /// Whether the same event waits already.
  [[nodiscard]] bool has_event(std::string_view path, std::string_view token) const;

  /// All unsent bytes.
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return std::span(bytes_).subspan(head_);
  }
  [[nodiscard]] std::size_t size() const { return bytes_.size() - head_; }
  [[nodiscard]] const std::deque<Message>& messages() const { return messages_; }
  /// Bytes of the first message that were sent already.
  [[nodiscard]] std::size_t sent_of_first() const { return sent_of_first_; }
  /// Bytes of memory in use.
  [[nodiscard]] std::size_t memory() const {
    return bytes_.capacity() + messages_.size() * sizeof(Message) + events_.bytes();
  }

  /// The first `count` (at most size()) bytes were sent; `left(const Message&)` is called for each
  /// message that is out completely.
  template <class Left>
  void sent(std::size_t count, Left left) {
    head_ += count;
    std::size_t progress = sent_of_first_ + count;
    while (!messages_.empty() && progress >= messages_.front().size) {
      progress -= messages_.front().size;
      pop_front(left);
    }
    sent_of_first_ = progress;
    // An event that is on its way does not stand for a later one any more.
    if (progress > 0) forget_event(messages_.front());
    trim();
  }
  /// Drops unsent events whose deadline is `now_ms` or earlier; `left` is called for each.
  template <class Left>
  void expire(std::uint64_t now_ms, Left left) {
    std::size_t skip = sent_of_first_ > 0 ? 1 : 0;  // half a message cannot be taken back
    bool dropped = false;
    for (Message& message : messages_) {
      if (skip > 0) {
        --skip;
      } else if (message.event && message.deadline_ms != 0 && message.deadline_ms <= now_ms) {
        left(message);
        forget_event(message);
        message.event = false;  // marks it for close_gaps()
        message.deadline_ms = kExpired;
        dropped = true;
      }
    }
    if (dropped) close_gaps();
  }
  /// Drops everything; `left` is called for each message.
  template <class Left>
  void clear(Left left) {
    while (!messages_.empty())
      pop_front(left);
    bytes_.clear();
    head_ = sent_of_first_ = 0;
  }
  /// The earliest deadline, if any event has one.
  [[nodiscard]] std::optional<std::uint64_t> next_deadline_ms() const;

  /// Takes over another queue's unsent bytes, for loading a state: the rest of a partly sent
  /// message (`partial` bytes), then whole messages. Restored events get `deadline_ms`. False, and
  /// the queue as it was, if the bytes are not that. The queue must be empty.
  [[nodiscard]] bool restore(std::span<const std::byte> bytes, std::size_t partial,
                             std::uint64_t deadline_ms);
  /// Also for loading: what the bytes do not tell of the message at `index`.
  void restore_detail(std::size_t index, std::uint64_t deadline_ms, Cause cause) {
    messages_[index].deadline_ms = deadline_ms;
    messages_[index].cause = cause;
  }
  /// Also for loading: `count` bytes of the first message were sent before. False if none can have
  /// been, or not so many.
  [[nodiscard]] bool restore_sent(std::size_t count);

 private:
  template <class Left>
  void pop_front(Left& left) {
    Message& message = messages_.front();
    if (message.size > 0) {
      left(message);
      forget_event(message);
    }
    messages_.pop_front();
  }
  std::span<char> append(const MessageHeader& header, Message message);
  void forget_event(const Message& message);
  void close_gaps();
  void trim();
  [[nodiscard]] std::string_view payload_of(const Message& message) const;

  static constexpr std::uint64_t kExpired = ~std::uint64_t{0};

  std::vector<std::byte> bytes_;
  std::size_t head_{};           // of bytes_: what lies before was sent
  std::size_t sent_of_first_{};  // bytes of messages_.front() that lie before head_
  std::deque<Message> messages_;
  std::uint64_t base_{};          // position of bytes_[0]
  PointerTable<Message> events_;  // by payload
};

}  // namespace ppvmm::store
