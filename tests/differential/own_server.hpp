/// Our machine under comparison, in process and without any shell: this plays Xen for it.
#pragma once

#include <map>

#include "differential/server.hpp"
#include "store/machine.hpp"

namespace ppvmm::differential {

class OwnServer final : public Server {
 public:
  explicit OwnServer(const Limits& limits);

  [[nodiscard]] std::string_view name() const override { return "ppvmm"; }
  void open(Actor actor) override;
  void close(Actor actor) override;
  [[nodiscard]] bool connected(Actor actor) const override { return clients_.contains(actor); }
  Answer ask(Actor actor, std::uint32_t type, std::uint32_t transaction,
             std::string_view payload) override;
  void attached(std::uint16_t domid) override;
  void detached(std::uint16_t domid) override;
  void settle() override;
  std::vector<Event> take_events(Actor actor) override;
  void create(std::uint16_t domid) override;
  void shut_down(std::uint16_t domid, bool crash) override;
  void resumed(std::uint16_t) override {}
  void destroy(std::uint16_t domid) override;
  [[nodiscard]] bool exists(std::uint16_t domid) const override;
  [[nodiscard]] std::uint32_t offered_port(std::uint16_t domid) const override;
  [[nodiscard]] std::string ended() override { return {}; }

 private:
  struct Client {
    store::ConnId conn{};
    std::string received;
    std::vector<Event> events;
  };
  struct Guest {
    bool exists{};
    bool bound{};
    std::uint32_t port{};
  };
  /// Carries out the machine's effects and collects what it sends.
  void turn();
  void collect(Client& client);

  store::Machine machine_;
  std::map<Actor, Client> clients_;
  std::map<std::uint16_t, Guest> guests_;
  std::uint32_t last_request_{};
  std::uint64_t now_ms_{};
};

}  // namespace ppvmm::differential
