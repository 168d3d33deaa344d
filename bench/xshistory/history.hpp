/// What clients asked a XenStore and what they were told, with times: the input of the checker.
///
/// The key says what a node is used for, and so which rule holds for it:
///   r/<name>       register: written and read, by one client or many; every value is unique
///   s/<name>       own node of one client whose values repeat (permissions, presence in a
///   directory) c/<name>       counter: read and incremented within transactions p/<name> pair: two
///   nodes that transactions write together and read together w/<name>       watched node of one
///   client: written by it, events come back to it
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace ppvmm::xshistory {

enum class Kind : std::uint8_t {
  write,    ///< The node gets `value`.
  read,     ///< `value` is what was read; "" with the error ENOENT: there is no such node.
  begin,    ///< A transaction begins.
  end,      ///< It is committed (or given up: kAborted). EAGAIN: it conflicted, nothing happened.
  watch,    ///< A fresh token is registered for the key.
  unwatch,  ///< It is taken back.
  event,    ///< A watch event for the key arrived (`answered`; there is no question).
};
inline constexpr std::size_t kKinds = 7;

/// The value of a read whose bytes are no value that anybody ever wrote.
inline constexpr std::string_view kWrongBytes = "!wrong";

/// Key of the event that ends a history: until then, answers were waited for.
inline constexpr std::string_view kEndKey = "d/end";

/// The value of an end that gives the transaction up.
inline constexpr std::string_view kAborted = "F";

struct Op {
  std::uint32_t client{};
  Kind kind{};
  std::uint32_t transaction{};  ///< Number of the client's transaction; 0: none.
  std::uint64_t invoked{};      ///< ns on the clients' common monotonic clock.
  std::uint64_t answered{};     ///< 0: no answer before the history ended.
  std::string key{};
  std::string value{};
  std::string error{};  ///< Name of the error that was answered; empty: success (or no answer).
};

using History = std::vector<Op>;

/// One line for each op, fields separated by tabs.
void write_history(std::ostream& out, const History& history);
/// False when a line is not one of such a file; `history` holds what was read before it.
[[nodiscard]] bool read_history(std::istream& in, History& history);

[[nodiscard]] std::string_view name_of(Kind kind);

}  // namespace ppvmm::xshistory
