#include "root/store_probe.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "root/xen_headers.hpp"

namespace ppvmm::root {
namespace {

constexpr const char* kDevice = "/dev/xen/xenbus";

class File {
 public:
  explicit File(int number) : number_(number) {}
  ~File() {
    if (number_ >= 0) close(number_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

}  // namespace

Result<void> probe_store(std::chrono::milliseconds limit) {
  const File bus(open(kDevice, O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (bus.number() < 0) return failed(std::string("open ") + kDevice);

  struct Question {
    xsd_sockmsg head;
    std::array<char, 2> path;
  } question{.head = {}, .path = {'/', '\0'}};
  question.head.type = XS_DIRECTORY;
  question.head.len = sizeof question.path;
  constexpr std::size_t kSize = sizeof question.head + sizeof question.path;
  if (write(bus.number(), &question, kSize) != static_cast<ssize_t>(kSize)) {
    return failed("ask XenStore");
  }

  pollfd waited{.fd = bus.number(), .events = POLLIN, .revents = 0};
  const int ready = poll(&waited, 1, static_cast<int>(limit.count()));
  if (ready < 0) return failed("wait for XenStore");
  if (ready == 0) {
    return refused("XenStore did not answer within " + std::to_string(limit.count()) + " ms");
  }
  std::array<std::byte, sizeof(xsd_sockmsg)> answer;
  if (read(bus.number(), answer.data(), answer.size()) != static_cast<ssize_t>(answer.size())) {
    return failed("read XenStore's answer");
  }
  return {};
}

}  // namespace ppvmm::root
