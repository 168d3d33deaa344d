/// The PV console ring of a unikernel, read without xenconsoled: before XenStore is up there is
/// nobody else to read it.
///
/// Format: Xen public/io/console.h.
#pragma once

#include <string>

#include "root/builder.hpp"
#include "root/failure.hpp"
#include "root/xen.hpp"

namespace ppvmm::root {

class ConsoleReader {
 public:
  [[nodiscard]] static Result<ConsoleReader> map(const Xen& xen, const BuiltDomain& built);

  /// Takes what is in the ring and gives its room back. Wake the unikernel afterwards if it may be
  /// waiting for room. Only one reader may do this at a time.
  [[nodiscard]] std::string take();
  /// What is in the ring, left there.
  [[nodiscard]] std::string peek() const;

 private:
  explicit ConsoleReader(Mapping mapping) : mapping_(std::move(mapping)) {}
  Mapping mapping_;
};

}  // namespace ppvmm::root
