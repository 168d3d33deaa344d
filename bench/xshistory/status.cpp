#include "status.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "wire.hpp"

namespace ppvmm::xshistory {
namespace {

std::uint64_t* map(int file, std::size_t bytes, const std::string& path) {
  void* const place = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (place == MAP_FAILED) throw xsload::Failure(path + " cannot be mapped");
  return static_cast<std::uint64_t*>(place);
}

}  // namespace

Status Status::create(const std::string& path, std::uint32_t clients) {
  const std::size_t bytes = clients * sizeof(std::uint64_t);
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(bytes)) != 0) {
    throw xsload::Failure(path + " cannot be made");
  }
  return {map(file, bytes, path), clients};
}

Status Status::open(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat info {};
  if (file < 0 || ::fstat(file, &info) != 0 || info.st_size <= 0) {
    throw xsload::Failure(path + " is no status file");
  }
  const auto bytes = static_cast<std::size_t>(info.st_size);
  return {map(file, bytes, path), bytes / sizeof(std::uint64_t)};
}

Status::~Status() {
  if (seats_ != nullptr) ::munmap(seats_, count_ * sizeof(std::uint64_t));
}

Status::Status(Status&& other) noexcept
    : seats_(std::exchange(other.seats_, nullptr)), count_(other.count_) {}

bool Status::all_served_since(std::uint64_t time) const {
  return std::ranges::all_of(seats(), [&](std::uint64_t& seat) {
    return std::atomic_ref(seat).load(std::memory_order_acquire) >= time;
  });
}

}  // namespace ppvmm::xshistory
