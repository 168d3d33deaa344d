/// The XenStore wire protocol: messages as they cross a ring or a socket.
/// Spec: Xen docs/misc/xenstore.txt; public header io/xs_wire.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "store/types.hpp"

namespace ppvmm::store {

/// xs_wire.h, enum xsd_sockmsg_type. Number 20 (RESTRICT) was withdrawn.
enum class MessageType : std::uint32_t {
  control = 0,
  directory = 1,
  read = 2,
  get_perms = 3,
  watch = 4,
  unwatch = 5,
  transaction_start = 6,
  transaction_end = 7,
  introduce = 8,
  release = 9,
  get_domain_path = 10,
  write = 11,
  mkdir = 12,
  rm = 13,
  set_perms = 14,
  watch_event = 15,
  error = 16,
  is_domain_introduced = 17,
  resume = 18,
  set_target = 19,
  reset_watches = 21,
  directory_part = 22,
};

/// xs_wire.h, struct xsd_sockmsg: in the byte order of the machine, as both ends share it.
struct MessageHeader {
  MessageType type{};
  std::uint32_t request_id{};      ///< Echoed in the answer.
  std::uint32_t transaction_id{};  ///< 0: no transaction.
  std::uint32_t length{};          ///< Bytes of payload that follow.
};
static_assert(sizeof(MessageHeader) == 16 && alignof(MessageHeader) == 4);

/// XENSTORE_PAYLOAD_MAX: a longer payload breaks the connection.
inline constexpr std::size_t kPayloadMax = 4096;
/// XENSTORE_ABS_PATH_MAX: bytes of an absolute path, whoever asks.
inline constexpr std::size_t kAbsolutePathMax = 3072;

/// The error's name as the client gets it, without the NUL: "ENOENT".
[[nodiscard]] std::string_view error_text(Error error);
/// The operation's name for logs: "WRITE", or "UNKNOWN".
[[nodiscard]] std::string_view message_name(MessageType type);

/// A request's payload, taken apart. All views point into the payload.
class Payload {
 public:
  explicit Payload(std::span<const std::byte> bytes);

  /// The payload is one string whose NUL is the last byte: that string. Most requests want this.
  [[nodiscard]] std::optional<std::string_view> only_string() const;
  /// The string that starts at `offset`, if it has its NUL; `offset` moves behind it.
  [[nodiscard]] std::optional<std::string_view> next_string(std::size_t& offset) const;
  /// How many NULs the payload has: the number of complete strings.
  [[nodiscard]] std::size_t string_count() const;
  /// Exactly N strings, whatever follows the last NUL; nothing if there are more or fewer.
  template <std::size_t N>
  [[nodiscard]] std::optional<std::array<std::string_view, N>> exactly() const {
    if (string_count() != N) return std::nullopt;
    return at_least<N>();
  }
  /// The first N strings, if there are that many.
  template <std::size_t N>
  [[nodiscard]] std::optional<std::array<std::string_view, N>> at_least() const {
    std::array<std::string_view, N> strings;
    std::size_t offset = 0;
    for (std::string_view& string : strings) {
      const auto next = next_string(offset);
      if (!next) return std::nullopt;
      string = *next;
    }
    return strings;
  }
  [[nodiscard]] std::string_view all() const { return text_; }

 private:
  std::string_view text_;
};

}  // namespace ppvmm::store
