/// All vifs of this domain: found in XenStore, made, and let go of.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "uk/net/adoption_gate.hpp"
#include "uk/net/vif_device.hpp"

namespace ppvmm::netuk {

class Backend final : public OffenceListener {
 public:
  Backend(Plumbing& plumbing, xenbus::Store& store, Policy policy);

  /// Takes over the vifs that an earlier life served, at once. Returns how many.
  std::size_t adopt();
  /// Follows backend/vif for ever. To be run as a task.
  [[nodiscard]] kernel::task::Task<> follow();

  /// Looks for vifs now, whatever XenStore has told.
  void look_again();

  void offended(Connection& connection, net::Hostile reason) override;

 private:
  [[nodiscard]] VifDevice* find(std::uint16_t domid, std::uint16_t handle);
  kernel::task::Task<> scan();
  void seen(std::uint16_t domid, std::uint16_t handle);
  void reap();

  Plumbing* plumbing_;
  xenbus::Store* store_;
  Policy policy_;
  AdoptionGate gate_;
  AdoptionGate::Ticket first_look_{gate_};  ///< Until all directories have been listed once.
  std::vector<std::unique_ptr<VifDevice>> devices_;
  std::optional<kernel::task::TaskRoot> scanning_;
};

}  // namespace ppvmm::netuk
