/// Why a XenStore request did not succeed, as a client sees it.
#pragma once

#include <cstdint>
#include <string_view>

namespace ppvmm::xenbus {

enum class Error : std::uint8_t {
  no_entry,  ///< ENOENT: no such node.
  denied,    ///< EACCES, EPERM: not ours to see or change.
  exists,    ///< EEXIST.
  again,     ///< EAGAIN: the transaction conflicted; do it again from its beginning.
  invalid,   ///< EINVAL: the server does not take the request as well-formed.
  no_space,  ///< ENOSPC: a quota. Also ENOMEM.
  too_big,   ///< E2BIG, or a request or answer that does not fit into a message.
  busy,      ///< EBUSY: too many transactions.
  refused,   ///< Any other error the server answers.
  broken,    ///< The connection broke the protocol; nothing works any more.
};
[[nodiscard]] std::string_view text_of(Error error);
/// The error behind the text of an ERROR message, "ENOENT".
[[nodiscard]] Error error_of(std::string_view text);

}  // namespace ppvmm::xenbus
