#include "differential/session.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "differential/canonical.hpp"
#include "differential/tree.hpp"
#include "differential/wire.hpp"
#include "store/quota.hpp"

namespace ppvmm::differential {
namespace {

using std::string_view_literals::operator""sv;

/// More than any server counts for a node beside its value and its children's names.
constexpr std::size_t kNodeOverhead = 100;

/// No server gives this id out: all count from small numbers.
constexpr std::uint32_t kUnknownTransaction = 0x7fff0000;

/// Everything in a transaction that must be said again when it is repeated.
bool belongs_to_transaction(const Step& step) {
  if (step.kind == Step::Kind::list) return true;
  switch (step.type) {
    case XS_DIRECTORY:
    case XS_DIRECTORY_PART:
    case XS_READ:
    case XS_GET_PERMS:
    case XS_WRITE:
    case XS_MKDIR:
    case XS_RM:
    case XS_SET_PERMS:
      return true;
    default:
      return false;
  }
}

std::string shown(const Answer& answer) {
  switch (answer.kind) {
    case Answer::Kind::none:
      return "no answer";
    case Answer::Kind::closed:
      return "connection closed";
    case Answer::Kind::absent:
      return "not connected";
    case Answer::Kind::reply:
      break;
  }
  std::string text = answer.type == XS_ERROR ? "ERROR" : name_of_type(answer.type);
  return text + ' ' + quoted(std::string_view(answer.payload).substr(0, 200));
}

std::uint16_t first_number(std::string_view payload) {
  std::uint16_t number{};
  std::from_chars(payload.data(), payload.data() + payload.size(), number);
  return number;
}

/// `{port3}` becomes the port that domain 3 offers.
std::string with_ports(std::string payload, const Server& server) {
  constexpr std::string_view kOpen = "{port";
  for (auto at = payload.find(kOpen); at != std::string::npos; at = payload.find(kOpen, at + 1)) {
    const auto end = payload.find('}', at);
    if (end == std::string::npos) break;
    const auto domid = first_number(std::string_view(payload).substr(at + kOpen.size()));
    payload.replace(at, end + 1 - at, std::to_string(server.offered_port(domid)));
  }
  return payload;
}

std::string shown(const std::vector<Event>& events) {
  std::string text;
  for (const Event& event : events)
    text += ' ' + quoted(event);
  return text.empty() ? " none" : text;
}

/// What kind of step, and which sort of answer each gave: enough to tell findings apart.
std::string signature(const Disagreement& d) {
  constexpr std::string_view kAbout[] = {"step",     "answer", "events", "outcome",
                                         "repeated", "ended",  "tree"};
  const auto sort = [](const Answer& answer) {
    return answer.kind == Answer::Kind::reply && answer.type != XS_ERROR
               ? "OK"
               : shown(answer).substr(0, 20);
  };
  std::string text = std::string(d.server) + ' ' + std::string(kAbout[static_cast<int>(d.about)]);
  if (d.step != nullptr) {
    const std::string step = to_text(*d.step);
    const auto verb = step.find(' ') + 1;
    text += ' ' + step.substr(verb, step.find(' ', verb) - verb);
  }
  if (d.about != Disagreement::About::events && d.about != Disagreement::About::tree)
    text += ' ' + sort(d.pivot_answer) + " / " + sort(d.other_answer);
  if (!d.missing.empty()) text += " missing";
  if (!d.extra.empty()) text += " extra";
  return text;
}

}  // namespace

Session::Session(const Scenario& scenario, const MakeServers& make) : scenario_{scenario} {
  for (auto& server : make(scenario.limits))
    sides_.push_back({std::move(server), true, {}});
  std::set<Actor> actors;
  for (const Step& step : scenario.steps)
    actors.insert(step.actor);
  actors_.assign(actors.begin(), actors.end());
}

Outcome Session::run() {
  for (const Step& step : scenario_.steps) {
    if (!do_step(step)) return std::move(outcome_);
    for (std::size_t i = 1; i < sides_.size(); ++i)
      if (sides_[i].live) ++outcome_.steps[std::string(sides_[i].server->name())];
  }
  compare_trees();
  return std::move(outcome_);
}

bool Session::judge(Disagreement disagreement, Side& side, const std::string& what) {
  const std::string server{side.server->name()};
  disagreement.server = server;
  disagreement.limits = &scenario_.limits;
  disagreement.known_before = known_before_;
  disagreement.names_unknown_domain = names_unknown_domain_;
  disagreement.ends_target = ends_target_;
  disagreement.nearly_full_node = nearly_full_node_;
  disagreement.has_died = [this](std::uint16_t domid) { return dead_.contains(domid); };
  if (const Rule* rule = accepted(disagreement)) {
    ++outcome_.met[std::string(rule->name) + '/' + server];
    if (rule->effect == Rule::Effect::parted) side.live = false;
    return true;
  }
  if (disagreement.about == Disagreement::About::step) return true;
  std::string text = what;
  if (const std::string ended = side.server->ended(); !ended.empty())
    text += "\n  " + server + " ended: " + ended;
  outcome_.finding = Finding{server, text, signature(disagreement)};
  return false;
}

Answer Session::request(Side& side, const Step& step) {
  std::uint32_t id = step.transaction == 0 ? 0 : kUnknownTransaction;
  if (const auto known = side.transactions.find({step.actor, step.transaction});
      known != side.transactions.end())
    id = known->second;
  return side.server->ask(step.actor, step.type, id, with_ports(step.payload, *side.server));
}

Answer Session::list(Side& side, const Step& step) {
  Step part = step;
  part.type = XS_DIRECTORY_PART;
  for (std::string names;;) {
    part.payload = step.payload + std::to_string(names.size()) + '\0';
    Answer answer = request(side, part);
    if (answer.kind != Answer::Kind::reply || answer.type != XS_DIRECTORY_PART) return answer;
    const auto generation = answer.payload.find('\0');
    if (generation == std::string::npos || generation + 1 >= answer.payload.size()) return answer;
    names += answer.payload.substr(generation + 1);
    // The last part ends with an empty name.
    if (names == "\0"sv || names.ends_with("\0\0"sv)) {
      answer.payload = names;
      return answer;
    }
  }
}

Answer Session::perform(Side& side, const Step& step) {
  Server& server = *side.server;
  const std::uint16_t number = step.actor.number;
  switch (step.kind) {
    case Step::Kind::request: {
      Answer answer = request(side, step);
      if (answer.kind != Answer::Kind::reply || answer.type == XS_ERROR) return answer;
      if (step.type == XS_TRANSACTION_START && step.starts != 0) {
        std::uint32_t id{};
        std::from_chars(answer.payload.data(), answer.payload.data() + answer.payload.size(), id);
        side.transactions[{step.actor, step.starts}] = id;
      }
      if (step.type == XS_INTRODUCE) server.attached(first_number(step.payload));
      if (step.type == XS_RELEASE) server.detached(first_number(step.payload));
      return answer;
    }
    case Step::Kind::list:
      return list(side, step);
    case Step::Kind::open:
      if (!server.connected(step.actor)) server.open(step.actor);
      break;
    case Step::Kind::close:
      if (server.connected(step.actor)) server.close(step.actor);
      break;
    case Step::Kind::create:
      if (!server.exists(number)) server.create(number);
      break;
    case Step::Kind::shutdown:
    case Step::Kind::crash:
      if (server.exists(number)) server.shut_down(number, step.kind == Step::Kind::crash);
      break;
    case Step::Kind::resumed:
      if (server.exists(number)) server.resumed(number);
      break;
    case Step::Kind::destroy:
      if (server.exists(number)) server.destroy(number);
      break;
  }
  return {};
}

void Session::forget(Actor actor, std::uint8_t transaction) {
  const auto is_it = [&](const auto& entry) {
    return entry.first.first == actor && (transaction == 0 || entry.first.second == transaction);
  };
  std::erase_if(logs_, is_it);
  for (Side& side : sides_)
    std::erase_if(side.transactions, is_it);
}

void Session::record(const Step& step, const std::vector<Answer>& answers) {
  const bool done = answers.front().kind == Answer::Kind::reply && answers.front().type != XS_ERROR;
  if (step.kind == Step::Kind::destroy) {
    ++changes_;
    dead_.insert(step.actor.number);
  }
  if (step.kind == Step::Kind::destroy || step.kind == Step::Kind::close) forget(step.actor, 0);
  if (step.transaction != 0 && belongs_to_transaction(step)) {
    if (const auto log = logs_.find({step.actor, step.transaction}); log != logs_.end()) {
      log->second.steps.push_back(&step);
      log->second.answers.push_back(answers);
    }
    return;
  }
  if (step.kind != Step::Kind::request) return;
  switch (step.type) {
    case XS_TRANSACTION_START:
      if (step.starts != 0) logs_[{step.actor, step.starts}] = Log{changes_, {}, {}};
      break;
    case XS_WRITE:
    case XS_MKDIR:
    case XS_RM:
    case XS_SET_PERMS:
      if (done) ++changes_;
      break;
    case XS_TRANSACTION_END:
      if (done) ++changes_;
      if (const auto error = error_of(answers.front()); error != "EINVAL" && error != "ENOENT")
        forget(step.actor, step.transaction);
      break;
    case XS_SET_TARGET:
      targets_.insert(
          first_number(std::string_view(step.payload)
                           .substr(std::min(step.payload.size(), step.payload.find('\0') + 1))));
      break;
    case XS_RESET_WATCHES:
      if (done) forget(step.actor, 0);
      break;
    case XS_RELEASE:
      if (done) dead_.insert(first_number(step.payload));
      [[fallthrough]];
    case XS_INTRODUCE:
      ++changes_;
      forget({Actor::Kind::domain, first_number(step.payload)}, 0);
      break;
    default:
      break;
  }
}

bool Session::changed_meanwhile(const Step& step) const {
  const auto log = logs_.find({step.actor, step.transaction});
  return log != logs_.end() && log->second.changes_at_start != changes_;
}

void Session::prepare(const Step& step) {
  const Server& pivot = *sides_.front().server;
  const std::uint16_t subject = first_number(step.payload);
  const bool is_request = step.kind == Step::Kind::request;
  known_before_ = pivot.connected({Actor::Kind::domain, subject});
  ends_target_ = (step.kind == Step::Kind::destroy && targets_.contains(step.actor.number)) ||
                 (is_request && step.type == XS_RELEASE && targets_.contains(subject));
  if (is_request && (step.type == XS_WRITE || step.type == XS_MKDIR)) {
    const std::size_t limit =
        scenario_.limits.node_size == 0 ? store::Quotas{}.node_size : scenario_.limits.node_size;
    nearly_full_node_ |= step.payload.size() + kNodeOverhead >= limit;
  }
  names_unknown_domain_ = false;
  if (!is_request || step.type != XS_SET_PERMS) return;
  // Every entry after the path is a letter and a domid.
  std::string_view rest = step.payload;
  for (auto end = rest.find('\0'); end != std::string_view::npos; end = rest.find('\0')) {
    rest.remove_prefix(end + 1);
    const auto domid = first_number(rest.substr(std::min<std::size_t>(1, rest.size())));
    names_unknown_domain_ |= domid != 0 && !pivot.exists(domid);
  }
}

bool Session::do_step(const Step& step) {
  prepare(step);
  std::vector<Answer> answers;
  for (Side& side : sides_) {
    answers.push_back(side.live ? canonical(step, perform(side, step)) : Answer{});
    if (side.live) side.server->settle();
  }
  if (step.kind == Step::Kind::request && step.type == XS_TRANSACTION_END &&
      !settle_transaction(step, answers))
    return false;
  for (std::size_t i = 1; i < sides_.size(); ++i) {
    if (!sides_[i].live) continue;
    const auto about =
        answers[i] == answers.front() ? Disagreement::About::step : Disagreement::About::answer;
    if (!compare_answers(step, answers.front(), answers[i], sides_[i], about)) return false;
  }
  record(step, answers);
  return check_running(step) && compare_events(step);
}

bool Session::check_running(const Step& step) {
  for (Side& side : sides_) {
    const std::string ended = side.live ? side.server->ended() : "";
    if (ended.empty()) continue;
    Disagreement disagreement;
    disagreement.about = Disagreement::About::ended;
    disagreement.step = &step;
    if (!judge(std::move(disagreement), side, to_text(step))) return false;
  }
  return true;
}

bool Session::compare_answers(const Step& step, const Answer& pivot, const Answer& other,
                              Side& side, Disagreement::About about) {
  Disagreement disagreement;
  disagreement.about = about;
  disagreement.step = &step;
  disagreement.changed_meanwhile = changed_meanwhile(step);
  disagreement.pivot_answer = pivot;
  disagreement.other_answer = other;
  const std::string pivot_name{sides_.front().server->name()};
  return judge(std::move(disagreement), side,
               to_text(step) + "\n  " + pivot_name + ": " + shown(pivot) + "\n  " +
                   std::string(side.server->name()) + ": " + shown(other));
}

bool Session::compare_events(const Step& step) {
  for (const Actor actor : actors_) {
    std::vector<std::vector<Event>> events;
    for (Side& side : sides_) {
      events.push_back(side.live ? side.server->take_events(actor) : std::vector<Event>{});
      std::ranges::sort(events.back());
    }
    for (std::size_t i = 1; i < sides_.size(); ++i) {
      if (!sides_[i].live || events[i] == events.front()) continue;
      Disagreement disagreement;
      disagreement.about = Disagreement::About::events;
      disagreement.step = &step;
      disagreement.actor = actor;
      std::ranges::set_difference(events.front(), events[i],
                                  std::back_inserter(disagreement.missing));
      std::ranges::set_difference(events[i], events.front(),
                                  std::back_inserter(disagreement.extra));
      const std::string what =
          to_text(step) + "\n  events for " + to_text(actor) + ", only from " +
          std::string(sides_.front().server->name()) + ':' + shown(disagreement.missing) +
          "; only from " + std::string(sides_[i].server->name()) + ':' + shown(disagreement.extra);
      if (!judge(std::move(disagreement), sides_[i], what)) return false;
    }
  }
  return true;
}

bool Session::compare_trees() {
  const Tree pivot = read_tree(*sides_.front().server);
  for (std::size_t i = 1; i < sides_.size(); ++i) {
    if (!sides_[i].live) continue;
    const Tree other = read_tree(*sides_[i].server);
    for (const auto& [path, ours, theirs] : differences(pivot, other)) {
      Disagreement disagreement;
      disagreement.about = Disagreement::About::tree;
      disagreement.path = path;
      if (ours != nullptr) disagreement.pivot_permissions = ours->permissions.payload;
      if (theirs != nullptr) disagreement.other_permissions = theirs->permissions.payload;
      if (!judge(std::move(disagreement), sides_[i],
                 "at the end, node " + quoted(path) + "\n  " +
                     std::string(sides_.front().server->name()) + ": " + to_text(ours) + "\n  " +
                     std::string(sides_[i].server->name()) + ": " + to_text(theirs)))
        return false;
    }
  }
  return true;
}

}  // namespace ppvmm::differential
