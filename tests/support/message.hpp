/// Messages as clients make and take them apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/wire.hpp"

namespace ppvmm::test {

using Bytes = std::vector<std::byte>;

struct Message {
  store::MessageHeader header;
  std::string payload;

  [[nodiscard]] bool is_error() const { return header.type == store::MessageType::error; }
  [[nodiscard]] bool is_event() const { return header.type == store::MessageType::watch_event; }
};

/// One request's bytes. The header's length is the payload's.
inline Bytes encode(store::MessageType type, std::uint32_t request_id, std::uint32_t transaction_id,
                    std::string_view payload) {
  const store::MessageHeader header{type, request_id, transaction_id,
                                    static_cast<std::uint32_t>(payload.size())};
  std::string message{reinterpret_cast<const char*>(&header), sizeof header};
  message += payload;
  const auto bytes = std::as_bytes(std::span{message});
  return {bytes.begin(), bytes.end()};
}

/// Puts a server's bytes together to messages, however they were cut.
class Decoder {
 public:
  void feed(std::span<const std::byte> bytes) {
    buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  /// The oldest complete message, which is taken out.
  [[nodiscard]] std::optional<Message> next() {
    Message message;
    if (buffer_.size() < sizeof message.header) return {};
    buffer_.copy(reinterpret_cast<char*>(&message.header), sizeof message.header);
    const std::size_t end = sizeof message.header + message.header.length;
    if (buffer_.size() < end) return {};
    message.payload = buffer_.substr(sizeof message.header, message.header.length);
    buffer_.erase(0, end);
    return message;
  }
  /// Bytes of a message that is not complete.
  [[nodiscard]] std::size_t pending() const { return buffer_.size(); }

 private:
  std::string buffer_;
};

}  // namespace ppvmm::test
