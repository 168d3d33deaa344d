/// A file that shows, while a load runs, how far each of its clients or streams is served: one
/// 64-bit time for each, at which what was answered last was asked. `ppvmm drill --served` reads
/// it.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace ppvmm::bench {

class ServedFile {
 public:
  /// Makes the file, all unserved. An empty path: there is none, and nobody is told. Nothing, with
  /// errno, when it cannot be made.
  [[nodiscard]] static std::optional<ServedFile> create(const std::string& path,
                                                        std::size_t seats) {
    if (path.empty()) return ServedFile({});
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) return std::nullopt;
    const std::size_t bytes = seats * sizeof(std::uint64_t);
    return map(file, ::ftruncate(file, static_cast<off_t>(bytes)) == 0 ? bytes : 0);
  }
  /// One that create() made. Nothing when there is none.
  [[nodiscard]] static std::optional<ServedFile> open(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0) return std::nullopt;
    struct stat info {};
    const bool known = ::fstat(file, &info) == 0 && info.st_size > 0;
    return map(file, known ? static_cast<std::size_t>(info.st_size) : 0);
  }

  /// To be written atomically, with release order. Empty when there is no file.
  [[nodiscard]] std::span<std::uint64_t> seats() const { return seats_; }
  void set(std::size_t seat, std::uint64_t time_ns) {
    if (seats_.empty()) return;
    std::atomic_ref(seats_[seat]).store(time_ns, std::memory_order_release);
  }
  /// Was everybody answered something that was asked at `time_ns` or later?
  [[nodiscard]] bool all_since(std::uint64_t time_ns) const {
    return std::ranges::all_of(seats_, [&](std::uint64_t& seat) {
      return std::atomic_ref(seat).load(std::memory_order_acquire) >= time_ns;
    });
  }

 private:
  // Mapped until the program ends.
  explicit ServedFile(std::span<std::uint64_t> seats) : seats_(seats) {}

  /// Closes the file. No bytes: it could not be made or looked at.
  static std::optional<ServedFile> map(int file, std::size_t bytes) {
    void* memory = MAP_FAILED;
    if (bytes != 0) {
      memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    ::close(file);
    if (memory == MAP_FAILED) return std::nullopt;
    return ServedFile({static_cast<std::uint64_t*>(memory), bytes / sizeof(std::uint64_t)});
  }

  std::span<std::uint64_t> seats_;
};

}  // namespace ppvmm::bench
