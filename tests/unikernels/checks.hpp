/// What every test image does: collect checks, end with one verdict.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernel/console.hpp"
#include "kernel/panic.hpp"
#include "kernel/text.hpp"

namespace ppvmm::test {

class Checks {
 public:
  explicit Checks(std::string_view name) : name_(name) {}

  /// Notes a check; the first that fails is named in the verdict.
  bool expect(bool holds, std::string_view what) {
    ++made_;
    if (!holds && failed_++ == 0) first_.add(what);
    if (!holds) kernel::log(kernel::Level::error, "check failed: ", what);
    return holds;
  }

  [[nodiscard]] bool good() const { return failed_ == 0; }

  /// A number for the verdict line.
  void note(std::string_view key, std::uint64_t value) {
    numbers_.add(",\"").add(key).add("\":").add(value);
  }

  /// Ends the domain. An image that checked nothing has failed.
  [[noreturn]] void finish() {
    kernel::Text<280> detail("\"checks\":", made_, ",\"failed\":", failed_);
    if (failed_ > 0) detail.add(",\"first\":\"").add(first_).add('"');
    detail.add(numbers_);
    kernel::finish_test(name_, failed_ == 0 && made_ > 0, detail.view());
  }

 private:
  std::string_view name_;
  std::uint64_t made_{};
  std::uint64_t failed_{};
  kernel::Text<80> first_;
  kernel::Text<160> numbers_;
};

}  // namespace ppvmm::test
