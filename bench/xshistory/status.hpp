/// A file that shows, while the load runs, how far each client is served: one number for each, the
/// time at which its last answered question was asked.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace ppvmm::xshistory {

class Status {
 public:
  /// Makes the file for `clients` numbers. Throws xsload::Failure.
  static Status create(const std::string& path, std::uint32_t clients);
  /// Maps a file that create() made.
  static Status open(const std::string& path);
  ~Status();
  Status(Status&& other) noexcept;
  Status(const Status&) = delete;
  Status& operator=(const Status&) = delete;
  Status& operator=(Status&&) = delete;

  [[nodiscard]] std::span<std::uint64_t> seats() const { return {seats_, count_}; }
  /// Has every client been answered a question that it asked at `time` or later?
  [[nodiscard]] bool all_served_since(std::uint64_t time) const;

 private:
  Status(std::uint64_t* seats, std::size_t count) : seats_(seats), count_(count) {}
  std::uint64_t* seats_;
  std::size_t count_;
};

}  // namespace ppvmm::xshistory
