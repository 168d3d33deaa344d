/// The history on disk: one JSON object a line, appended with each change; of several lines with
/// one number the last holds. A line that root could not finish writing is left out when it is
/// read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <span>
#include <string>

#include "root/daemon/history.hpp"
#include "root/failure.hpp"

namespace ppvmm::root::daemon {

class HistoryFile {
 public:
  explicit HistoryFile(std::string path) : path_(std::move(path)) {}

  /// Puts what the file holds into `history`. A file that does not exist is an empty one.
  [[nodiscard]] Result<void> load(History& history);
  /// Appends the incidents of these numbers. When the file has grown large, it is written anew with
  /// what is kept.
  [[nodiscard]] Result<void> append(const History& history, std::span<const std::uint64_t> ids);

 private:
  [[nodiscard]] Result<void> rewrite(const History& history);

  std::string path_;
  std::ofstream file_;
  std::size_t bytes_{};
};

}  // namespace ppvmm::root::daemon
