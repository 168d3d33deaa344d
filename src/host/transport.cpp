#include "host/transport.hpp"

#include <cerrno>

namespace ppvmm::host {

std::unique_ptr<Transport> make_transport(Io io) {
  if (io != Io::epoll) {
    if (auto transport = make_uring_transport()) return transport;
    if (io == Io::io_uring) {
      errno = ENOSYS;
      throw system_failure("making an io_uring");
    }
  }
  return make_epoll_transport();
}

}  // namespace ppvmm::host
