// A transaction that one server commits and another sends back with EAGAIN: done again there, as a
// real client would, so that the trees agree again.
#include <algorithm>

#include "differential/canonical.hpp"
#include "differential/session.hpp"
#include "differential/wire.hpp"

namespace ppvmm::differential {
namespace {

using std::string_literals::operator""s;
using std::string_view_literals::operator""sv;

Answer committed_answer() {
  return {Answer::Kind::reply, XS_TRANSACTION_END, "OK\0"s};
}

bool differs(const Answer& one, const Answer& two) {
  return (error_of(one) == "EAGAIN") != (error_of(two) == "EAGAIN");
}

}  // namespace

bool Session::settle_transaction(const Step& step, std::vector<Answer>& answers) {
  const Answer committed = committed_answer();
  std::size_t reference = 0;
  while (reference < sides_.size() && !(sides_[reference].live && answers[reference] == committed))
    ++reference;
  if (reference == sides_.size() || step.payload != "T\0"sv) return true;
  const std::vector<Answer> said = answers;
  for (std::size_t i = 1; i < sides_.size(); ++i)
    if (sides_[i].live && differs(said.front(), said[i]) &&
        !compare_answers(step, said.front(), said[i], sides_[i], Disagreement::About::outcome))
      return false;
  for (std::size_t i = 0; i < sides_.size(); ++i) {
    if (!sides_[i].live || error_of(said[i]) != "EAGAIN") continue;
    if (!repeat_transaction(i, reference, step)) return false;
    sides_[i].server->settle();
    answers[i] = committed;
  }
  return true;
}

bool Session::repeat_transaction(std::size_t again, std::size_t reference, const Step& end) {
  Side& side = sides_[again];
  // The pivot is never the one that is judged: when it repeats, the side it is compared with is.
  Side& judged = sides_[again == 0 ? reference : again];
  const auto compare = [&](const Step& step, const Answer& original, const Answer& repeated) {
    if (original == repeated || (again != 0 && reference != 0)) return true;
    return compare_answers(step, again == 0 ? repeated : original, again == 0 ? original : repeated,
                           judged, Disagreement::About::repeated);
  };
  Step start = end;
  start.type = XS_TRANSACTION_START;
  start.transaction = 0;
  start.starts = end.transaction;
  start.payload = "\0"s;
  perform(side, start);
  const auto found = logs_.find({end.actor, end.transaction});
  if (found == logs_.end()) return true;
  const Log log = found->second;
  for (std::size_t i = 0; i < log.steps.size(); ++i) {
    const Answer repeated = canonical(*log.steps[i], perform(side, *log.steps[i]));
    if (!compare(*log.steps[i], log.answers[i][reference], repeated)) return false;
  }
  return compare(end, committed_answer(), perform(side, end));
}

}  // namespace ppvmm::differential
