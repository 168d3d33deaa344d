#include "host/fd.hpp"

#include <unistd.h>

#include <cerrno>

namespace ppvmm::host {

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

std::system_error system_failure(const std::string& what) {
  return {errno, std::generic_category(), what};
}

}  // namespace ppvmm::host
