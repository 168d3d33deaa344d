/// What the checker's rules share: sorting a history by key, and which operations count.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "history.hpp"

namespace ppvmm::xshistory {

/// Pointers into the history.
using Ops = std::vector<const Op*>;

/// The operations on keys that begin with `prefix`, by key, in the history's order.
[[nodiscard]] std::map<std::string, Ops> by_key(const History& history, std::string_view prefix);

/// How far a change went.
enum class Fate : std::uint8_t {
  done,     ///< Acknowledged.
  open,     ///< No answer, or an error that tells nothing: it may have happened or not.
  nothing,  ///< It did not happen.
};

/// A transaction as a whole.
struct Transaction {
  std::uint32_t client{};
  Ops ops;          ///< Reads and writes in it.
  const Op* end{};  ///< Its commit, if it got that far.
  [[nodiscard]] Fate fate() const;
};
/// All transactions that touched keys with `prefix`.
[[nodiscard]] std::vector<Transaction> transactions(const History& history,
                                                    std::string_view prefix);

[[nodiscard]] Fate fate_of(const Op& change);
/// Was the question answered with a value (or, for reads, with ENOENT)?
[[nodiscard]] bool told(const Op& read);

}  // namespace ppvmm::xshistory
