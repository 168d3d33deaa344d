/// A whole host in one thread: the machine, its domains and sockets, their clients, time and
/// accidents. The same seed gives the same history.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "simulation/client.hpp"
#include "simulation/hostile.hpp"
#include "simulation/random.hpp"
#include "simulation/store_model.hpp"
#include "store/machine.hpp"
#include "store/ring.hpp"

namespace ppvmm::simulation {

/// How big the world is.
struct Plan {
  std::size_t guests{4};
  std::size_t sockets{3};
  std::size_t hostiles{3};
};

/// Where two migration streams tell of different states; nothing if they do not.
[[nodiscard]] std::optional<std::string> difference(std::span<const std::byte> one,
                                                    std::span<const std::byte> other);

class World {
 public:
  World(std::uint64_t seed, const Plan& plan);
  World(World&&) = default;
  World& operator=(World&&) = default;

  /// One random thing happens. Throws Failure when the server is wrong.
  void step();
  /// Everybody finishes what they have begun; then the whole tree is read and compared.
  void settle();
  /// The machine is replaced by what its dump gives back.
  void reload();
  /// The same world again, with a machine of its own made from a dump.
  [[nodiscard]] World fork() const;
  /// Of all that clients were sent so far, and of the committed tree.
  [[nodiscard]] std::uint64_t digest() const { return heard_ ^ machine_.tree_digest(); }

  [[nodiscard]] const store::Machine& machine() const { return machine_; }
  [[nodiscard]] std::uint64_t answers() const;

 private:
  /// A domain with an honest client. Domain 0 is the first; it is the toolstack.
  struct Guest {
    DomId domid{};
    Client client;
    store::RingPage page{};
    bool mapped{};    ///< The server has its ring.
    bool built{};     ///< Introduced, as all can see; domain 0 always is.
    bool building{};  ///< The toolstack has begun.
    bool reconnecting{};
    bool kicked{};    ///< The server has a reason to look at the ring.
    bool notified{};  ///< The guest has.
  };
  struct Socket {
    Client client;
    store::ConnId conn{};
    Bytes to_server{};
    Bytes to_client{};
    bool refused{};  ///< The server takes no input until it says so.
  };

  World(store::Machine machine, const World& other);

  // What can happen (world_steps.cpp).
  void act(Client& client);
  void guest_writes(Guest& guest, std::size_t most);
  void guest_reads(Guest& guest, std::size_t most);
  void serve_guest(Guest& guest);
  void socket_writes(Socket& socket, std::size_t most);
  void socket_reads(Socket& socket, std::size_t most);
  void serve_socket(Socket& socket, std::size_t most);
  void pass_time(std::uint64_t ms);
  void build_or_kill(Guest& guest);
  void reconnect_guest(Guest& guest);
  void reopen(Socket& socket);
  void hostile_step(Hostile& hostile);

  // What requests mean (world_model.cpp).
  void execute(Client& client, const Request& request, const store::Statistics& before);
  model::Answer execute_operation(Client& client, const Request& request);
  model::Answer execute_commit(Client& client, const Request& request,
                               const store::Statistics& before);
  model::Answer execute_watch(Client& client, const Request& request);
  model::Answer execute_unwatch(Client& client, const Request& request);
  model::Answer execute_domain_request(Client& client, const Request& request);
  void fire(std::span<const model::Change> changes, bool certain = true);
  void fire_special(std::string_view name, bool certain);
  static void owe(Client& client, std::span<const model::Change> changes, bool certain);

  // Keeping order (world.cpp).
  void absorb();
  void attach(const store::Effect& effect);
  void check_limits() const;
  bool finish_round();
  void audit();
  void audit_node(store::ConnId auditor, const std::string& path, const model::Node& node);
  test::Message ask_now(store::ConnId conn, store::MessageType type, std::string_view payload);
  void crude(store::MessageType type, std::string_view payload);
  [[nodiscard]] Guest* find_guest(DomId domid);
  [[nodiscard]] Hostile* find_hostile(DomId domid);
  template <class Each>
  void each_client(Each each) {
    for (Guest& guest : guests_)
      each(guest.client);
    for (Socket& socket : sockets_)
      each(socket.client);
  }
  void remember(std::span<const std::byte> bytes);

  store::Machine machine_;
  Random random_;
  StoreModel store_;
  std::vector<Guest> guests_;
  std::vector<Socket> sockets_;
  std::vector<Hostile> hostiles_;
  std::vector<DomId> domids_;  ///< Of the guests but domain 0.
  store::ConnId crude_{};      ///< A privileged connection whose doings nobody checks.
  std::uint64_t now_ms_{};
  std::uint32_t tokens_{};
  std::uint64_t heard_{};
};

}  // namespace ppvmm::simulation
