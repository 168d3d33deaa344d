/// What the daemon tells Prometheus, over HTTP on loopback.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "root/daemon/history.hpp"
#include "root/daemon/supervisor.hpp"
#include "root/failure.hpp"

namespace ppvmm::root::daemon {

class Metrics {
 public:
  /// Listens at "address:port"; an empty address means that nobody wants to know.
  [[nodiscard]] static Result<std::unique_ptr<Metrics>> serve(const std::string& address);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// An incident has ended (repaired, stopped, or only noted).
  void count(const Incident& incident);
  void show(const UnitInfo& info, const UnitStatus& status);
  void forget(const std::string& unit);
  /// Looks at the host so far, and what was scrubbed.
  void looked(std::uint64_t looks, std::uint64_t scrubbed_pages);

 private:
  struct Parts;
  explicit Metrics(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace ppvmm::root::daemon
