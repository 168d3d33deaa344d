#include "store/wire.hpp"

#include <algorithm>

namespace ppvmm::store {
namespace {

// In the order of enum Error.
constexpr std::array<std::string_view, 16> kErrorTexts{
    "EINVAL",    "EACCES", "EEXIST", "EISDIR", "ENOENT", "ENOMEM",  "ENOSPC", "EIO",
    "ENOTEMPTY", "ENOSYS", "EROFS",  "EBUSY",  "EAGAIN", "EISCONN", "E2BIG",  "EPERM"};
static_assert(kErrorTexts.size() == static_cast<std::size_t>(Error::perm) + 1);

constexpr std::array<std::string_view, 23> kMessageNames{"CONTROL",
                                                         "DIRECTORY",
                                                         "READ",
                                                         "GET_PERMS",
                                                         "WATCH",
                                                         "UNWATCH",
                                                         "TRANSACTION_START",
                                                         "TRANSACTION_END",
                                                         "INTRODUCE",
                                                         "RELEASE",
                                                         "GET_DOMAIN_PATH",
                                                         "WRITE",
                                                         "MKDIR",
                                                         "RM",
                                                         "SET_PERMS",
                                                         "WATCH_EVENT",
                                                         "ERROR",
                                                         "IS_DOMAIN_INTRODUCED",
                                                         "RESUME",
                                                         "SET_TARGET",
                                                         "UNKNOWN",
                                                         "RESET_WATCHES",
                                                         "DIRECTORY_PART"};
static_assert(kMessageNames.size() == static_cast<std::size_t>(MessageType::directory_part) + 1);

}  // namespace

std::string_view error_text(Error error) {
  return kErrorTexts[static_cast<std::size_t>(error)];
}

std::string_view message_name(MessageType type) {
  const auto number = static_cast<std::size_t>(type);
  return number < kMessageNames.size() ? kMessageNames[number] : "UNKNOWN";
}

Payload::Payload(std::span<const std::byte> bytes)
    : text_(reinterpret_cast<const char*>(bytes.data()), bytes.size()) {}

std::optional<std::string_view> Payload::only_string() const {
  if (text_.empty() || text_.find('\0') != text_.size() - 1) return std::nullopt;
  return text_.substr(0, text_.size() - 1);
}

std::optional<std::string_view> Payload::next_string(std::size_t& offset) const {
  const std::size_t end = text_.find('\0', offset);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view string = text_.substr(offset, end - offset);
  offset = end + 1;
  return string;
}

std::size_t Payload::string_count() const {
  return static_cast<std::size_t>(std::count(text_.begin(), text_.end(), '\0'));
}

}  // namespace ppvmm::store
