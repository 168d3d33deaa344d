/// Messages of the XenStore protocol from the client's side.
///
/// Spec: Xen docs/misc/xenstore.txt; layout: public header io/xs_wire.h.
#pragma once

#include <stdint.h>  // xs_wire.h needs the types but does not include them
#include <xen/io/xs_wire.h>

#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace ppvmm::differential {

static_assert(sizeof(xsd_sockmsg) == 16);

struct Message {
  xsd_sockmsg header{};
  std::string payload;
};

[[nodiscard]] inline std::string encoded(std::uint32_t type, std::uint32_t request,
                                         std::uint32_t transaction, std::string_view payload) {
  const xsd_sockmsg header{type, request, transaction, static_cast<std::uint32_t>(payload.size())};
  std::string bytes(sizeof header, '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes.append(payload);
}

/// Takes the first whole message off the front of `bytes`.
[[nodiscard]] inline std::optional<Message> take_message(std::string& bytes) {
  Message message;
  if (bytes.size() < sizeof message.header) return std::nullopt;
  std::memcpy(&message.header, bytes.data(), sizeof message.header);
  const std::size_t size = sizeof message.header + message.header.len;
  if (bytes.size() < size) return std::nullopt;
  message.payload = bytes.substr(sizeof message.header, message.header.len);
  bytes.erase(0, size);
  return message;
}

}  // namespace ppvmm::differential
