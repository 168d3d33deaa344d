/// Runs one scenario on several servers in lockstep and compares everything a client can see.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "differential/rules.hpp"
#include "differential/server.hpp"
#include "differential/step.hpp"

namespace ppvmm::differential {

struct Finding {
  std::string server;
  std::string what;       ///< For a reader: the step, both answers.
  std::string signature;  ///< Equal for findings of one kind; shrinking keeps it.
};

struct Outcome {
  std::optional<Finding> finding;            ///< The first difference that no rule accepts.
  std::map<std::string, std::size_t> met;    ///< How often each rule was met, per "rule/server".
  std::map<std::string, std::size_t> steps;  ///< Steps compared, per server.
};

/// Makes the servers of one run; the first is the pivot.
using MakeServers = std::function<std::vector<std::unique_ptr<Server>>(const Limits&)>;

class Session {
 public:
  Session(const Scenario& scenario, const MakeServers& make);
  [[nodiscard]] Outcome run();

 private:
  using Slot = std::pair<Actor, std::uint8_t>;  ///< An actor's transaction number.

  struct Side {
    std::unique_ptr<Server> server;
    bool live{true};
    std::map<Slot, std::uint32_t> transactions;  ///< The ids this server gave out.
  };
  /// What was said in a transaction, to say it again after EAGAIN as a client would.
  struct Log {
    std::size_t changes_at_start{};
    std::vector<const Step*> steps;
    std::vector<std::vector<Answer>> answers;  ///< Per step, per side.
  };

  void prepare(const Step& step);
  bool do_step(const Step& step);
  Answer perform(Side& side, const Step& step);
  Answer request(Side& side, const Step& step);
  Answer list(Side& side, const Step& step);
  /// The actor's transaction (0: all of them) is gone, as far as anyone can know.
  void forget(Actor actor, std::uint8_t transaction);
  void record(const Step& step, const std::vector<Answer>& answers);
  [[nodiscard]] bool changed_meanwhile(const Step& step) const;

  /// After TRANSACTION_END: a side that said EAGAIN while another committed does it again.
  bool settle_transaction(const Step& step, std::vector<Answer>& answers);
  bool repeat_transaction(std::size_t again, std::size_t reference, const Step& end);

  bool compare_answers(const Step& step, const Answer& pivot, const Answer& other, Side& side,
                       Disagreement::About about);
  bool check_running(const Step& step);
  bool compare_events(const Step& step);
  bool compare_trees();
  /// Counts an accepted disagreement or records the finding; false for the latter.
  bool judge(Disagreement disagreement, Side& side, const std::string& what);

  const Scenario& scenario_;
  std::vector<Side> sides_;
  std::map<Slot, Log> logs_;
  // Of the step at hand, see Disagreement.
  bool known_before_{};
  bool names_unknown_domain_{};
  bool ends_target_{};
  bool nearly_full_node_{};          ///< Of any step so far.
  std::size_t changes_{};            ///< Requests so far that changed the common tree.
  std::set<std::uint16_t> targets_;  ///< Domains that were named as a target.
  std::set<std::uint16_t> dead_;     ///< Domains that died or were released.
  std::vector<Actor> actors_;
  Outcome outcome_;
};

}  // namespace ppvmm::differential
