/// The store's whole state in a file: the migration stream of docs/xenstore-stream.md.
#pragma once

#include <filesystem>

#include "store/machine.hpp"

namespace ppvmm::host {

/// A machine from a file. Throws std::runtime_error with the reason when the file cannot be read or
/// is refused.
[[nodiscard]] store::Machine read_state(const std::filesystem::path& path,
                                        const store::Options& options);

/// Writes the state beside `path` and renames it there, so that no half a dump is ever found.
/// A failure is logged; the server goes on.
void dump_state(const store::Machine& machine, const std::filesystem::path& path);

}  // namespace ppvmm::host
