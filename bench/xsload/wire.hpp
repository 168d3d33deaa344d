/// The client's side of the XenStore wire protocol: requests out, messages in.
///
/// Small on purpose and independent of our server's codec: every server under test gets the same
/// bytes, and an error in the server's codec cannot hide behind the same error here.
/// Spec: Xen docs/misc/xenstore.txt; public header io/xs_wire.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

extern "C" {
#include <xen/io/xs_wire.h>
}

namespace ppvmm::xsload {

/// The server (or the path to it) did something that a correct one does not. It ends the run: a
/// fast wrong answer is worth nothing.
class Failure : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

static_assert(sizeof(xsd_sockmsg) == 16, "io/xs_wire.h: four 32-bit words");

/// One message from the server. `payload` points into the Framer and lives until its next call.
struct Message {
  std::uint32_t type{};
  std::uint32_t request{};
  std::uint32_t transaction{};
  std::string_view payload;
};

/// The bytes of one request whose payload is `parts` joined without separators. Parts that the
/// protocol ends with a NUL must carry it (see `terminated`).
[[nodiscard]] std::string encode(xsd_sockmsg_type type, std::uint32_t request,
                                 std::uint32_t transaction,
                                 std::initializer_list<std::string_view> parts);

/// `text` with its terminating NUL inside the view. `text` must be a string's or a literal's.
[[nodiscard]] inline std::string_view terminated(const std::string& text) {
  return {text.c_str(), text.size() + 1};
}

/// The two strings of a watch event: path and token. Throws Failure when they are not there.
struct WatchEvent {
  std::string_view path;
  std::string_view token;
};
[[nodiscard]] WatchEvent parse_event(std::string_view payload);

/// Cuts a stream of bytes into messages.
class Framer {
 public:
  /// Where to read the next bytes into: never empty.
  [[nodiscard]] std::span<char> space();
  /// `count` bytes were read into space().
  void filled(std::size_t count) { end_ += count; }
  /// The next whole message, if there is one. Throws Failure on an impossible length.
  [[nodiscard]] std::optional<Message> next();

 private:
  std::vector<char> buffer_ = std::vector<char>(4 * (sizeof(xsd_sockmsg) + XENSTORE_PAYLOAD_MAX));
  std::size_t begin_{};
  std::size_t end_{};
};

}  // namespace ppvmm::xsload
