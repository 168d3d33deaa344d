/// The daemon's ear: a Unix socket in the state directory that takes one JSON object a line and
/// answers each with one. Only who may write the directory can connect.
#pragma once

#include <poll.h>

#include <functional>
#include <list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "root/failure.hpp"

namespace ppvmm::root::daemon {

/// Name of the socket in the state directory.
inline constexpr const char* kSocketName = "root.sock";

class Control {
 public:
  using Answer = std::function<nlohmann::ordered_json(const nlohmann::ordered_json&)>;

  [[nodiscard]] static Result<Control> listen(const std::string& path);
  ~Control();
  Control(Control&& other) noexcept;
  Control& operator=(Control&&) = delete;

  /// Adds what must be waited for.
  void add_to(std::vector<pollfd>& waited) const;
  /// Serves whoever has something to say. Never blocks.
  void serve(const Answer& answer);

 private:
  struct Client {
    int socket{};
    std::string heard;
    std::string said;
    bool gone{};
  };

  explicit Control(int socket) : socket_(socket) {}
  void accept_all();
  static void hear(Client& client, const Answer& answer);
  static void say(Client& client);

  int socket_;
  std::list<Client> clients_;
};

/// The other side, for the commands: asks a running daemon. Fails when none listens there, or with
/// the daemon's own words when it refuses.
[[nodiscard]] Result<nlohmann::ordered_json> ask(const std::string& state_dir,
                                                 const nlohmann::ordered_json& question);
/// Does a daemon look after what is in this state directory?
[[nodiscard]] bool daemon_runs(const std::string& state_dir);

}  // namespace ppvmm::root::daemon
