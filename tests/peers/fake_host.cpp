#include "peers/fake_host.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xen/io/xs_wire.h>
#include <xen/xen.h>

#include <cstring>
#include <fstream>
#include <string>
#include <system_error>

namespace ppvmm::peers {
namespace {

static_assert(sizeof(xenstore_domain_interface) <= kPageSize);
static_assert(kVirqDomExc == VIRQ_DOM_EXC && kDomains == DOMID_FIRST_RESERVED);

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// A new file of `size` zero bytes, mapped; any older file of that name is replaced, so that a
/// daemon which still maps the page of a dead domain does not see the page of its successor.
void* map_new_file(const std::filesystem::path& path, std::size_t size) {
  std::filesystem::remove(path);
  const Fd fd{open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!fd || ftruncate(fd.get(), static_cast<off_t>(size)) != 0) fail("create " + path.string());
  void* map = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (map == MAP_FAILED) fail("map " + path.string());
  return map;
}

Fd make_fifo(const std::filesystem::path& path) {
  std::filesystem::remove(path);
  if (mkfifo(path.c_str(), 0600) != 0) fail("make FIFO " + path.string());
  Fd fd{open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)};
  if (!fd) fail("open FIFO " + path.string());
  return fd;
}

}  // namespace

FakeHost::FakeHost() {
  std::string pattern = (std::filesystem::temp_directory_path() / "fakexen-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) fail("make directory " + pattern);
  directory_ = pattern;
  machine_ = static_cast<Machine*>(map_new_file(directory_ / "machine", sizeof(Machine)));
  machine_->magic = kMagic;
  up_ = make_fifo(directory_ / "up");
  std::filesystem::create_directory(directory_ / "run");
  make_guest(0);
  std::ofstream(directory_ / "xsd_port") << offer_new_port(0);
}

FakeHost::~FakeHost() {
  for (auto& [domid, guest] : guests_)
    munmap(guest.page, kPageSize);
  munmap(machine_, sizeof(Machine));
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void FakeHost::make_guest(std::uint32_t domid) {
  const std::string number = std::to_string(domid);
  Guest guest;
  guest.page = map_new_file(directory_ / ("ring-" + number), kPageSize);
  guest.events = make_fifo(directory_ / ("down-" + number));
  guests_.insert_or_assign(domid, std::move(guest));
  machine_->domains[domid].state = kExists;
}

std::uint32_t FakeHost::create(std::uint32_t domid) {
  if (domid == 0 || domid >= kDomains || exists(domid)) {
    errno = EEXIST;
    fail("create domain " + std::to_string(domid));
  }
  make_guest(domid);
  return offer_new_port(domid);
}

std::uint32_t FakeHost::offer_new_port(std::uint32_t domid) {
  // Numbers differ between calls, so that a stale one is refused as by Xen.
  return ++machine_->domains[domid].offered_port;
}

void FakeHost::shut_down(std::uint32_t domid, bool crash) {
  machine_->domains[domid].state |= crash ? kShutdown | kCrashed : kShutdown;
  raise_dom_exc();
}

void FakeHost::resume(std::uint32_t domid) {
  machine_->domains[domid].state &= ~(kShutdown | kCrashed);
}

void FakeHost::destroy(std::uint32_t domid) {
  machine_->domains[domid].state = 0;
  if (const auto guest = guests_.find(domid); guest != guests_.end()) {
    munmap(guest->second.page, kPageSize);
    guests_.erase(guest);
  }
  raise_dom_exc();
}

bool FakeHost::exists(std::uint32_t domid) const {
  return domid < kDomains && (machine_->domains[domid].state & kExists) != 0;
}

xenstore_domain_interface& FakeHost::ring(std::uint32_t domid) const {
  return *static_cast<xenstore_domain_interface*>(guests_.at(domid).page);
}

void FakeHost::notify(std::uint32_t domid) {
  const std::uint32_t port = machine_->domains[domid].local_port;
  if (port != 0) raise(machine_->ports[port], port, up_.get());
}

int FakeHost::event_fd(std::uint32_t domid) const {
  return guests_.at(domid).events.get();
}

void FakeHost::absorb(std::uint32_t domid) const {
  char bytes[256];
  while (read(event_fd(domid), bytes, sizeof bytes) == sizeof bytes) {
  }
}

std::uint32_t FakeHost::offered_port(std::uint32_t domid) const {
  return domid < kDomains ? machine_->domains[domid].offered_port.load() : 0;
}

std::uint32_t FakeHost::dom_exc_port() const {
  for (std::uint32_t number = 1; number < kPorts; ++number) {
    const Port& port = machine_->ports[number];
    if (port.kind == Port::virq && port.peer == kVirqDomExc) return number;
  }
  return 0;
}

void FakeHost::raise_dom_exc() {
  if (const std::uint32_t number = dom_exc_port(); number != 0)
    raise(machine_->ports[number], number, up_.get());
}

bool FakeHost::dom_exc_pending() const {
  const Port& port = machine_->ports[dom_exc_port()];
  return port.pending != 0 || port.masked != 0;
}

}  // namespace ppvmm::peers
