/// A real daemon under comparison: socket clients and domains' rings, kept in step.
#pragma once

#include <map>
#include <memory>

#include "differential/channel.hpp"
#include "differential/server.hpp"
#include "peers/peer.hpp"

namespace ppvmm::differential {

class PeerServer final : public Server {
 public:
  /// Starts the daemon on a machine of its own. Throws std::runtime_error if it does not start.
  PeerServer(peers::PeerKind kind, const Limits& limits, const peers::PeerFiles& files);

  [[nodiscard]] std::string_view name() const override { return peers::name_of(kind_); }
  void open(Actor actor) override;
  void close(Actor actor) override;
  [[nodiscard]] bool connected(Actor actor) const override { return clients_.contains(actor); }
  Answer ask(Actor actor, std::uint32_t type, std::uint32_t transaction,
             std::string_view payload) override;
  void attached(std::uint16_t domid) override;
  void detached(std::uint16_t domid) override;
  void settle() override;
  std::vector<Event> take_events(Actor actor) override;
  void create(std::uint16_t domid) override { host_.create(domid); }
  void shut_down(std::uint16_t domid, bool crash) override;
  void resumed(std::uint16_t domid) override { host_.resume(domid); }
  void destroy(std::uint16_t domid) override;
  [[nodiscard]] bool exists(std::uint16_t domid) const override { return host_.exists(domid); }
  [[nodiscard]] std::uint32_t offered_port(std::uint16_t domid) const override {
    return host_.offered_port(domid);
  }
  [[nodiscard]] std::string ended() override { return peer_.ended().value_or(""); }

 private:
  struct Client {
    std::unique_ptr<Channel> channel;
    std::string received;
    std::vector<Event> events;
    /// Other than done: it was closed or did not answer in time once, and is not asked again.
    Transfer state{Transfer::done};
  };
  Answer converse(Client& client, std::uint32_t type, std::uint32_t transaction,
                  std::string_view payload);
  std::uint32_t send(Client& client, std::uint32_t type, std::uint32_t transaction,
                     std::string_view payload);
  Answer await(Client& client, std::uint32_t request);
  void ping(Client& client);
  void await_dom_exc();

  peers::PeerKind kind_;
  peers::FakeHost host_;
  std::filesystem::path socket_;
  peers::Peer peer_;
  std::unique_ptr<Channel> probe_channel_;
  Client probe_;  ///< A socket client of our own, for synchronisation only.
  std::map<Actor, Client> clients_;
  std::uint32_t last_request_{};
};

}  // namespace ppvmm::differential
