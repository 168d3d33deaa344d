/// A file that shows, while a load runs, how far each of its streams is served: one 64-bit time for
/// each, at which what was answered last was asked. `ppvmm drill --served` reads it.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace ppvmm::bench {

class ServedFile {
 public:
  /// Makes the file, all streams unserved. An empty path: there is none, and nobody is told.
  /// Nothing, with errno, when it cannot be made.
  [[nodiscard]] static std::optional<ServedFile> create(const std::string& path,
                                                        std::size_t seats) {
    if (path.empty()) return ServedFile(nullptr);
    const std::size_t bytes = seats * sizeof(std::uint64_t);
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) return std::nullopt;
    void* memory = MAP_FAILED;
    if (ftruncate(file, static_cast<off_t>(bytes)) == 0) {
      memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    close(file);
    if (memory == MAP_FAILED) return std::nullopt;
    return ServedFile(static_cast<std::uint64_t*>(memory));
  }

  void set(std::size_t seat, std::uint64_t time_ns) {
    if (seats_ != nullptr) static_cast<volatile std::uint64_t*>(seats_)[seat] = time_ns;
  }

 private:
  // Mapped until the program ends.
  explicit ServedFile(std::uint64_t* seats) : seats_(seats) {}

  std::uint64_t* seats_;
};

}  // namespace ppvmm::bench
