/// Looks over the tree in small pieces, for idle times: what nobody reads may rot unseen.
#pragma once

#include <cstddef>
#include <string>

namespace ppvmm::store {

struct State;

/// Where the last piece ended. The tree may change in between: whoever was at that place may be
/// gone.
struct ScrubCursor {
  std::string path;  ///< The last node looked at; empty: begin anew.
};

struct Scrubbed {
  std::size_t nodes{};  ///< Looked at.
  bool finished{};      ///< The end of the tree was reached; the next call begins anew.
  std::string corrupt;  ///< Path of a node that is not what was stored; empty: none found.
};

/// Looks at up to `budget` nodes behind the cursor, in order of paths, and stops at the first that
/// is corrupt. Costs O(depth log n) once, and O(log n) for each node.
[[nodiscard]] Scrubbed scrub(const State& state, ScrubCursor& cursor, std::size_t budget);

}  // namespace ppvmm::store
