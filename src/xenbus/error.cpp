#include "xenbus/error.hpp"

#include <array>
#include <utility>

namespace ppvmm::xenbus {
namespace {

constexpr std::array<std::pair<std::string_view, Error>, 10> kTexts{{
    {"ENOENT", Error::no_entry},
    {"EACCES", Error::denied},
    {"EPERM", Error::denied},
    {"EEXIST", Error::exists},
    {"EAGAIN", Error::again},
    {"EINVAL", Error::invalid},
    {"ENOSPC", Error::no_space},
    {"ENOMEM", Error::no_space},
    {"E2BIG", Error::too_big},
    {"EBUSY", Error::busy},
}};

}  // namespace

std::string_view text_of(Error error) {
  switch (error) {
    case Error::no_entry:
      return "no such node";
    case Error::denied:
      return "not allowed";
    case Error::exists:
      return "exists already";
    case Error::again:
      return "transaction conflicted";
    case Error::invalid:
      return "invalid request";
    case Error::no_space:
      return "quota exceeded";
    case Error::too_big:
      return "too big for a message";
    case Error::busy:
      return "too many transactions";
    case Error::refused:
      return "refused";
    case Error::broken:
      return "connection broken";
  }
  return "unknown error";
}

Error error_of(std::string_view text) {
  for (const auto& [name, error] : kTexts) {
    if (name == text) return error;
  }
  return Error::refused;
}

}  // namespace ppvmm::xenbus
