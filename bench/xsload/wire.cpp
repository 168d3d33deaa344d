#include "wire.hpp"

#include <cstring>

namespace ppvmm::xsload {

std::string encode(xsd_sockmsg_type type, std::uint32_t request, std::uint32_t transaction,
                   std::initializer_list<std::string_view> parts) {
  std::size_t length = 0;
  for (const auto part : parts)
    length += part.size();
  if (length > XENSTORE_PAYLOAD_MAX) throw Failure("request longer than the protocol allows");

  xsd_sockmsg header{};
  header.type = type;
  header.req_id = request;
  header.tx_id = transaction;
  header.len = static_cast<std::uint32_t>(length);

  std::string bytes(sizeof header, '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  bytes.reserve(sizeof header + length);
  for (const auto part : parts)
    bytes.append(part);
  return bytes;
}

WatchEvent parse_event(std::string_view payload) {
  const auto path_end = payload.find('\0');
  if (path_end == std::string_view::npos) throw Failure("watch event without a path");
  const auto token = payload.substr(path_end + 1);
  const auto token_end = token.find('\0');
  if (token_end == std::string_view::npos) throw Failure("watch event without a token");
  return {payload.substr(0, path_end), token.substr(0, token_end)};
}

std::span<char> Framer::space() {
  if (begin_ == end_) begin_ = end_ = 0;
  constexpr auto kWholeMessage = sizeof(xsd_sockmsg) + XENSTORE_PAYLOAD_MAX;
  if (buffer_.size() - end_ < kWholeMessage) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return std::span(buffer_).subspan(end_);
}

std::optional<Message> Framer::next() {
  xsd_sockmsg header{};
  if (end_ - begin_ < sizeof header) return std::nullopt;
  std::memcpy(&header, buffer_.data() + begin_, sizeof header);
  if (header.len > XENSTORE_PAYLOAD_MAX) {
    throw Failure("the server announced a payload of " + std::to_string(header.len) + " bytes");
  }
  if (end_ - begin_ < sizeof header + header.len) return std::nullopt;
  const Message message{header.type, header.req_id, header.tx_id,
                        std::string_view(buffer_.data() + begin_ + sizeof header, header.len)};
  begin_ += sizeof header + header.len;
  return message;
}

}  // namespace ppvmm::xsload
