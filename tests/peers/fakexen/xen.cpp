#include "peers/fakexen/xen.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ppvmm::peers {
namespace {

int fail(int error) {
  errno = error;
  return -1;
}

[[noreturn]] void give_up(const char* what, const std::string& path) {
  std::fprintf(stderr, "fakexen: %s %s: %s\n", what, path.c_str(), std::strerror(errno));
  std::_Exit(70);
}

}  // namespace

Xen& Xen::get() {
  static Xen xen;
  return xen;
}

Xen::Xen() {
  for (int& fd : down_)
    fd = -1;
  const char* directory = std::getenv("FAKEXEN_DIR");
  if (directory == nullptr) {
    errno = EINVAL;
    give_up("no environment variable", "FAKEXEN_DIR");
  }
  directory_ = directory;
  const int fd = open(file("machine").c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) give_up("cannot open", file("machine"));
  void* map = mmap(nullptr, sizeof(Machine), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) give_up("cannot map", file("machine"));
  close(fd);
  machine_ = static_cast<Machine*>(map);
  if (machine_->magic != kMagic) {
    errno = EINVAL;
    give_up("not a stand-in machine:", file("machine"));
  }
  // Read and write, so that the FIFO never reports a hang-up.
  up_ = open(file("up").c_str(), O_RDWR);
  if (up_ < 0) give_up("cannot open", file("up"));
}

Domain* Xen::domain(std::uint32_t domid) {
  if (domid >= kDomains) return nullptr;
  Domain& domain = machine_->domains[domid];
  return (domain.state & kExists) != 0 ? &domain : nullptr;
}

void* Xen::map_ring(std::uint32_t domid) {
  if (domain(domid) == nullptr) {
    errno = EINVAL;
    return nullptr;
  }
  const std::string name = "ring-" + std::to_string(domid);
  const int fd = open(file(name.c_str()).c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* page = mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return page == MAP_FAILED ? nullptr : page;
}

Port* Xen::bound(std::uint32_t port) {
  if (port == 0 || port >= kPorts || machine_->ports[port].kind == Port::free) return nullptr;
  return &machine_->ports[port];
}

int Xen::allocate(Port::Kind kind, std::uint32_t peer) {
  for (std::uint32_t number = 1; number < kPorts; ++number) {
    Port& port = machine_->ports[number];
    if (port.kind != Port::free) continue;
    port.peer = peer;
    port.pending = 0;
    port.masked = 0;
    port.kind = kind;
    return static_cast<int>(number);
  }
  return fail(ENOSPC);
}

int Xen::bind_interdomain(std::uint32_t domid, std::uint32_t remote_port) {
  Domain* peer = domain(domid);
  if (peer == nullptr) return fail(ESRCH);
  // EVTCHNOP_bind_interdomain: the remote port must be unbound and reserved for the caller.
  if (remote_port == 0 || peer->offered_port != remote_port || peer->local_port != 0)
    return fail(EINVAL);
  const int number = allocate(Port::interdomain, domid);
  if (number < 0) return number;
  const std::string name = "down-" + std::to_string(domid);
  const int fd = open(file(name.c_str()).c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    machine_->ports[number].kind = Port::free;
    return fail(EINVAL);
  }
  down_[number] = fd;
  peer->local_port = static_cast<std::uint32_t>(number);
  // Xen makes the new local end pending at once, so that nothing sent before is lost.
  raise(machine_->ports[number], static_cast<std::uint32_t>(number), up_);
  return number;
}

int Xen::bind_virq(std::uint32_t virq) {
  return allocate(Port::virq, virq);
}

int Xen::unbind(std::uint32_t number) {
  Port* port = bound(number);
  if (port == nullptr) return fail(EINVAL);
  if (port->kind == Port::interdomain) {
    Domain& peer = machine_->domains[port->peer];
    if (peer.local_port == number) peer.local_port = 0;
    close(down_[number]);
    down_[number] = -1;
  }
  port->kind = Port::free;
  return 0;
}

int Xen::notify(std::uint32_t number) {
  Port* port = bound(number);
  if (port == nullptr) return fail(EINVAL);
  if (port->kind == Port::interdomain) {
    // A full FIFO means that the domain has unread notifications already: events merge.
    const char event = 1;
    [[maybe_unused]] const auto written = write(down_[number], &event, 1);
  }
  return 0;
}

int Xen::pending() {
  std::uint32_t number{};
  const auto got = read(up_, &number, sizeof number);
  if (got != sizeof number) return fail(EIO);
  if (Port* port = bound(number); port != nullptr) {
    port->masked = 1;
    port->pending = 0;
  }
  return static_cast<int>(number);
}

int Xen::unmask(std::uint32_t number) {
  Port* port = bound(number);
  // As in Linux's evtchn device: unmasking a port that was unbound meanwhile is no error.
  if (port == nullptr) return 0;
  port->masked = 0;
  if (port->pending.exchange(0) != 0) raise(*port, number, up_);
  return 0;
}

}  // namespace ppvmm::peers
