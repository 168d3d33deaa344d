/// One step of a differential run, and its text form: what a seed generates, a shrunk finding shows
/// and a case file holds.
///
///   s0 WRITE "/t/a\0value"          a request; actors s0..s7 are socket clients, d1..d7 domains
///   d1 READ tx=2 "/t/a\0"           inside the actor's transaction number 2
///   d1 TRANSACTION_START as=2 "\0"  the transaction it starts is its number 2 from now on
///   s0 99 "x"                       an operation by its number
///   s0 LIST "/t\0"                  a whole directory by repeated DIRECTORY_PART
///   s1 OPEN, s1 CLOSE               the socket client connects, leaves
///   d3 CREATE                       Xen makes domain 3, not yet introduced
///   d3 SHUTDOWN, CRASH, RESUMED, DESTROY   and what may happen to it later
///
/// In a payload `{port3}` stands for the port that domain 3 offers now. A transaction number that
/// was never started stands for an id that no server has given out.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace ppvmm::differential {

struct Actor {
  enum class Kind : std::uint8_t { socket, domain };
  Kind kind{};
  std::uint16_t number{};  ///< Index of a socket client; domid of a domain.

  friend auto operator<=>(const Actor&, const Actor&) = default;
};

[[nodiscard]] std::string to_text(Actor actor);

struct Step {
  enum class Kind : std::uint8_t {
    request,
    list,
    open,
    close,
    create,
    shutdown,
    crash,
    resumed,
    destroy
  };
  Kind kind{};
  Actor actor;
  std::uint32_t type{};        ///< Of a request: enum xsd_sockmsg_type or any other number.
  std::uint8_t transaction{};  ///< The actor's transaction number; 0: none.
  std::uint8_t starts{};       ///< Number the started transaction gets; 0: not kept.
  std::string payload;
};

/// Limits that all compared servers are started with; 0: each server's default.
struct Limits {
  std::uint32_t nodes{};
  std::uint32_t watches{};
  std::uint32_t transactions{};
  std::uint32_t node_size{};
};

struct Scenario {
  Limits limits;
  std::vector<Step> steps;
};

[[nodiscard]] std::string to_text(const Step& step);
[[nodiscard]] std::string to_text(const Scenario& scenario);

/// Reads the text form; lines that are empty or start with '#' are skipped. The error names the
/// line.
[[nodiscard]] std::expected<Scenario, std::string> parse_scenario(std::string_view text);

/// Bytes in double quotes, with \0 \n \\ \" \xHH, and \{40v} for forty times v.
[[nodiscard]] std::string quoted(std::string_view bytes);

/// The operation's name, or its number.
[[nodiscard]] std::string name_of_type(std::uint32_t type);

}  // namespace ppvmm::differential
