#include "net/nic/nic.hpp"

namespace ppvmm::net {

std::string_view text_of(NicError error) {
  switch (error) {
    case NicError::device_gone:
      return "the device does not answer";
    case NicError::reset_failed:
      return "the device did not come out of its reset";
    case NicError::unsupported:
      return "not a device this driver can serve";
    case NicError::no_memory:
      return "no buffer to receive into";
    case NicError::bad_address:
      return "the device has no usable Ethernet address";
  }
  return "unknown error";
}

}  // namespace ppvmm::net
