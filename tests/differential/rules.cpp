#include "differential/rules.hpp"

#include <stdint.h>
#include <xen/io/xs_wire.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace ppvmm::differential {
namespace {

using std::string_view_literals::operator""sv;

using About = Disagreement::About;

using Effect = Rule::Effect;

constexpr std::size_t kPathLimit = XENSTORE_REL_PATH_MAX;

bool is_request(const Disagreement& d, std::uint32_t type) {
  return d.step != nullptr && d.step->kind == Step::Kind::request && d.step->type == type;
}

/// Answers differ here, or differ when a transaction is done again.
bool answers(const Disagreement& d) {
  return d.about == About::answer || d.about == About::repeated;
}

bool ok(const Answer& answer) {
  return answer.kind == Answer::Kind::reply && answer.type != XS_ERROR;
}

/// OK, or the answer of a step that is no request.
bool ok_or_nothing(const Answer& answer) {
  return ok(answer) || answer.kind == Answer::Kind::absent;
}

bool both_refuse(const Disagreement& d) {
  return answers(d) && !error_of(d.pivot_answer).empty() && !error_of(d.other_answer).empty();
}

bool only_other_did_it(const Disagreement& d) {
  return answers(d) && !error_of(d.pivot_answer).empty() && ok(d.other_answer);
}

bool only_pivot_did_it(const Disagreement& d) {
  return answers(d) && ok(d.pivot_answer) && !error_of(d.other_answer).empty();
}

bool path_starts(const Disagreement& d, char first) {
  return d.step->payload.starts_with(first);
}

/// The payload of an operation that takes one path, when it is not that: not exactly one NUL, at
/// the end.
bool malformed_path(const Disagreement& d) {
  if (d.step == nullptr || d.step->kind != Step::Kind::request) return false;
  switch (d.step->type) {
    case XS_READ:
    case XS_DIRECTORY:
    case XS_GET_PERMS:
    case XS_MKDIR:
    case XS_RM:
      return d.step->payload.find('\0') + 1 != d.step->payload.size() || d.step->payload.empty();
    default:
      return false;
  }
}

/// Where xenstored 4.17 answers with an error number that it has not set.
bool stale_errno(const Disagreement& d) {
  return malformed_path(d) || (is_request(d, XS_SET_PERMS) && path_starts(d, '@'));
}

/// What a privileged client names is longer than the limit for a domain.
bool long_path(const Disagreement& d) {
  return d.step != nullptr && d.step->actor.kind == Actor::Kind::socket &&
         d.step->payload.find('\0') > kPathLimit && d.step->payload.size() > kPathLimit;
}

bool in_changed_transaction(const Disagreement& d) {
  return d.step != nullptr && d.step->transaction != 0 && d.changed_meanwhile;
}

/// Every number in the payload is digits only and at most 65535; false for an odd one.
bool odd_number(const Disagreement& d) {
  const bool letters = is_request(d, XS_SET_PERMS);
  const bool has_path = letters || is_request(d, XS_DIRECTORY_PART);
  std::string_view rest = d.step->payload;
  for (std::size_t index = 0; !rest.empty(); ++index) {
    std::string_view word = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    if (has_path && index == 0) continue;
    if (letters) word.remove_prefix(std::min<std::size_t>(1, word.size()));
    std::uint16_t number{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc{} || end != word.data() + word.size()) return true;
  }
  return false;
}

/// Whether `other` is `pivot` with entries of dead domains added.
bool shown_beyond(std::string_view pivot, std::string_view other, const Disagreement& d) {
  while (!other.empty()) {
    const std::string_view entry = other.substr(0, other.find('\0') + 1);
    other.remove_prefix(entry.size());
    if (pivot.starts_with(entry)) {
      pivot.remove_prefix(entry.size());
      continue;
    }
    std::uint16_t domid{};
    std::from_chars(entry.data() + 1, entry.data() + entry.size(), domid);
    if (!d.has_died || !d.has_died(domid)) return false;
  }
  return pivot.empty();
}

constexpr Rule kRules[] = {
    // --- transactions
    {"snapshot", "xenstored", Effect::none,
     "In a transaction we show the tree as it was when the transaction started; xenstored shows "
     "each node as it was when the transaction first touched it. Where that differs we answer "
     "EAGAIN at the end, and the client's retry gave the same answers.",
     [](const Disagreement& d) {
       return d.about == About::answer && in_changed_transaction(d) &&
              !is_request(d, XS_TRANSACTION_END);
     }},
    {"snapshot-conflict", "xenstored", Effect::none,
     "A node had changed between the start of our transaction and its first use there.",
     [](const Disagreement& d) {
       return d.about == About::outcome && in_changed_transaction(d) &&
              error_of(d.pivot_answer) == "EAGAIN";
     }},
    // --- xenstored
    {"failed-inside", "xenstored", Effect::none,
     "A transaction in which xenstored met an error that it cannot undo answers ENOMEM at its end. "
     "We send the client back, or had answered the error at once.",
     [](const Disagreement& d) {
       return is_request(d, XS_TRANSACTION_END) && both_refuse(d) &&
              error_of(d.other_answer) == "ENOMEM";
     }},
    {"dead-inside", "xenstored", Effect::parted,
     "xenstored answers ENOMEM at the end of a transaction that removed nodes of a domain which "
     "died "
     "meanwhile. Its nodes are gone either way, so we commit.",
     [](const Disagreement& d) {
       return is_request(d, XS_TRANSACTION_END) && only_pivot_did_it(d) &&
              error_of(d.other_answer) == "ENOMEM" && d.changed_meanwhile;
     }},
    {"stale-error", "xenstored", Effect::none,
     "xenstored 4.17 answers a path without its NUL, and SET_PERMS of an unknown special node, "
     "with "
     "the error of some earlier request.",
     [](const Disagreement& d) { return both_refuse(d) && stale_errno(d); }},
    {"stale-success", "xenstored", Effect::parted,
     "The same, when no earlier request failed: xenstored does not answer at all and the "
     "connection stands still, or the whole server ends (an assertion).",
     [](const Disagreement& d) {
       if (d.about == About::ended) return stale_errno(d);
       return answers(d) && stale_errno(d) && !error_of(d.pivot_answer).empty() &&
              d.other_answer.kind != Answer::Kind::reply;
     }},
    {"number-syntax", "both", Effect::none,
     "Numbers are decimal digits to us. xenstored (atoi, strtol) also takes blanks and a sign "
     "before "
     "and anything after them, and domains beyond 65535; oxenstored anything around the digits.",
     [](const Disagreement& d) {
       return answers(d) && error_of(d.pivot_answer) == "EINVAL" && odd_number(d) &&
              (both_refuse(d) || is_request(d, XS_GET_DOMAIN_PATH) ||
               is_request(d, XS_IS_DOMAIN_INTRODUCED) || is_request(d, XS_DIRECTORY_PART) ||
               is_request(d, XS_RESUME));
     }},
    {"number-syntax-change", "both", Effect::parted,
     "The same, where the other server then changes something.",
     [](const Disagreement& d) {
       return answers(d) && error_of(d.pivot_answer) == "EINVAL" && odd_number(d) &&
              (is_request(d, XS_SET_PERMS) || is_request(d, XS_SET_TARGET) ||
               is_request(d, XS_RELEASE) || is_request(d, XS_INTRODUCE));
     }},
    {"owner-must-exist", "xenstored", Effect::none,
     "xenstored first asks Xen whether the new owner of a node exists: ENOENT before any other "
     "error. See owner-unknown.",
     [](const Disagreement& d) {
       return is_request(d, XS_SET_PERMS) && both_refuse(d) && d.names_unknown_domain &&
              error_of(d.other_answer) == "ENOENT";
     }},
    {"owner-unknown", "both", Effect::parted,
     "xenstored refuses to give a node to a domain that does not exist, and ignores such a domain "
     "in other entries even when it exists later. Our machine knows domains only from requests, "
     "and a toolstack writes a domain's nodes before it introduces it; what was given to a domain "
     "that died is taken away when it dies.",
     [](const Disagreement& d) {
       return (d.about == About::answer || d.about == About::step) && is_request(d, XS_SET_PERMS) &&
              ok(d.pivot_answer) && d.names_unknown_domain;
     }},
    {"dead-target-stays", "xenstored", Effect::parted,
     "xenstored keeps a dead domain, its nodes and what they allow, while another domain has it as "
     "its target (SET_TARGET), and does not fire @releaseDomain.",
     [](const Disagreement& d) { return d.about == About::step && d.ends_target; }},
    {"dead-entry-shown", "xenstored", Effect::none,
     "xenstored ignores a dead domain's entry in a node's permissions, but still shows it until "
     "the permissions are set again.",
     [](const Disagreement& d) {
       return (is_request(d, XS_GET_PERMS) && answers(d) &&
               shown_beyond(d.pivot_answer.payload, d.other_answer.payload, d)) ||
              (d.about == About::tree && shown_beyond(d.pivot_permissions, d.other_permissions, d));
     }},
    {"path-limit-for-all", "xenstored", Effect::none,
     "xenstored 4.17 holds privileged clients to a domain's path length too, newer ones do not.",
     [](const Disagreement& d) {
       return long_path(d) && answers(d) && !error_of(d.pivot_answer).empty() &&
              error_of(d.other_answer) == "EINVAL";
     }},
    {"path-limit-for-all-change", "both", Effect::parted,
     "The same, where we then do what was asked for; oxenstored too.",
     [](const Disagreement& d) {
       return long_path(d) && only_pivot_did_it(d) && error_of(d.other_answer) == "EINVAL";
     }},
    {"unwatch-of-nothing", "xenstored", Effect::none,
     "xenstored 4.17 does not look at the path of UNWATCH; newer ones answer EINVAL to a bad one.",
     [](const Disagreement& d) {
       return is_request(d, XS_UNWATCH) && both_refuse(d) && error_of(d.pivot_answer) == "EINVAL" &&
              error_of(d.other_answer) == "ENOENT";
     }},
    {"node-header", "xenstored", Effect::parted,
     "xenstored counts the header of its database record (24 bytes in 4.17, 16 later) as part of a "
     "node's size.",
     [](const Disagreement& d) {
       return only_pivot_did_it(d) && error_of(d.other_answer) == "ENOSPC" && d.nearly_full_node;
     }},
    {"event-by-parent", "xenstored", Effect::none,
     "An event for a removed node goes to those who may read the node or its parent. When the "
     "removal was in a transaction, xenstored no longer finds the parent's permissions.",
     [](const Disagreement& d) {
       return d.about == About::events && is_request(d, XS_TRANSACTION_END) && d.extra.empty();
     }},
    {"special-permissions", "xenstored", Effect::none,
     "xenstored answers GET_PERMS of @releaseDomain and @introduceDomain, and fires their watches "
     "when their permissions change, only from 4.20 on.",
     [](const Disagreement& d) {
       if (d.about == About::events)
         return is_request(d, XS_SET_PERMS) && path_starts(d, '@') && d.extra.empty();
       return is_request(d, XS_GET_PERMS) && answers(d) && path_starts(d, '@') &&
              error_of(d.other_answer) == "EINVAL";
     }},
    {"transaction-merged", "both", Effect::none,
     "A server may merge transactions that do not really conflict; a client must expect EAGAIN "
     "whenever a node changed that it had read. The client's retry then gave the same answers.",
     [](const Disagreement& d) {
       return d.about == About::outcome && error_of(d.pivot_answer).empty();
     }},
    // --- oxenstored
    {"introduce-again", "oxenstored", Effect::parted,
     "oxenstored keeps watches and transactions of a domain that is introduced again, and cannot "
     "use its ring any more when the new port is wrong. The specification leaves it open; "
     "xenstored resets the connection.",
     [](const Disagreement& d) {
       return (d.about == About::step || d.about == About::answer) && is_request(d, XS_INTRODUCE) &&
              d.known_before;
     }},
    {"end-without-nul", "oxenstored", Effect::parted,
     "oxenstored takes a TRANSACTION_END whose argument has no NUL.",
     [](const Disagreement& d) {
       return is_request(d, XS_TRANSACTION_END) && only_other_did_it(d) &&
              error_of(d.pivot_answer) == "EINVAL";
     }},
    {"no-directory-part", "oxenstored", Effect::none, "oxenstored 4.17 has no DIRECTORY_PART.",
     [](const Disagreement& d) {
       return (is_request(d, XS_DIRECTORY_PART) ||
               (d.step != nullptr && d.step->kind == Step::Kind::list)) &&
              error_of(d.other_answer) == "ENOSYS";
     }},
    {"parents-of-refused", "oxenstored", Effect::parted,
     "oxenstored makes the missing parents of a node before it finds the value too big or the "
     "limit "
     "reached, and leaves them.",
     [](const Disagreement& d) {
       const std::string_view error = error_of(d.other_answer);
       return is_request(d, XS_WRITE) && both_refuse(d) && (error == "E2BIG" || error == "EQUOTA");
     }},
    {"other-code", "oxenstored", Effect::none,
     "Both refuse. oxenstored checks in another order, does not hide whether a node below an "
     "unreadable one exists, and has codes of its own (EQUOTA, EIO for an unknown transaction).",
     both_refuse},
    {"rm-of-nothing", "oxenstored", Effect::none,
     "oxenstored answers OK to RM of a node that does not exist, without looking at its parent.",
     [](const Disagreement& d) {
       return is_request(d, XS_RM) && only_other_did_it(d) && !path_starts(d, '@') &&
              !d.step->payload.starts_with("/\0"sv);
     }},
    {"rm-of-root", "oxenstored", Effect::parted, "oxenstored lets a privileged client remove /.",
     [](const Disagreement& d) {
       return is_request(d, XS_RM) && only_other_did_it(d) && d.step->payload == "/\0"sv;
     }},
    {"more-events", "oxenstored", Effect::none,
     "oxenstored sends an event for each operation of a transaction, does not merge equal events "
     "of "
     "one client, and fires the watches below a removed node even where there was no node.",
     [](const Disagreement& d) { return d.about == About::events && d.missing.empty(); }},
    {"dead-nodes-stay", "oxenstored", Effect::parted,
     "oxenstored keeps a dead or released domain's nodes and gives them to domain 0.",
     [](const Disagreement& d) {
       return (d.about == About::step || d.about == About::answer) &&
              ok_or_nothing(d.other_answer) &&
              (d.step->kind == Step::Kind::destroy || is_request(d, XS_RELEASE));
     }},
    {"replayed", "oxenstored", Effect::parted,
     "oxenstored replays a transaction that conflicts and commits it when each answer stays the "
     "same, and commits one that changed nothing without looking. We send the client back.",
     [](const Disagreement& d) {
       return d.about == About::repeated ||
              (d.about == About::outcome && error_of(d.pivot_answer) == "EAGAIN");
     }},
    {"release-keeps-port", "oxenstored", Effect::parted,
     "oxenstored does not close the event channel of a released domain, so that it cannot be "
     "introduced again.",
     [](const Disagreement& d) { return is_request(d, XS_INTRODUCE) && only_pivot_did_it(d); }},
    {"empty-payload", "oxenstored", Effect::parted,
     "oxenstored waits for more after a message without a payload.",
     [](const Disagreement& d) {
       return d.about == About::answer && d.step->payload.empty() &&
              d.other_answer.kind == Answer::Kind::none;
     }},
    {"oversized", "oxenstored", Effect::parted,
     "oxenstored takes the first 4096 bytes of a longer payload for the message and the rest for "
     "the next one; the connection is beyond use.",
     [](const Disagreement& d) {
       return d.about == About::answer && d.step->payload.size() > XENSTORE_PAYLOAD_MAX;
     }},
    {"special-nodes-listed", "oxenstored", Effect::none,
     "oxenstored shows @releaseDomain and @introduceDomain as children of /.",
     [](const Disagreement& d) {
       return (d.about == About::tree && d.path.starts_with("/@") && d.pivot_permissions.empty()) ||
              (answers(d) && d.other_answer.payload.starts_with("@introduceDomain\0"sv));
     }},
    {"watch-limits", "oxenstored", Effect::parted,
     "oxenstored counts watches per client otherwise, and limits the relative part of their path.",
     [](const Disagreement& d) { return is_request(d, XS_WATCH) && only_other_did_it(d); }},
    {"value-limit-for-all", "oxenstored", Effect::parted,
     "oxenstored limits the size of a value for privileged clients too.",
     [](const Disagreement& d) {
       return is_request(d, XS_WRITE) && only_pivot_did_it(d) &&
              error_of(d.other_answer) == "E2BIG";
     }},
    {"node-size", "oxenstored", Effect::parted,
     "oxenstored limits the value alone; the size of a node is that of its value, permissions and "
     "children's names.",
     [](const Disagreement& d) {
       return only_other_did_it(d) && error_of(d.pivot_answer) == "ENOSPC" && !path_starts(d, '@');
     }},
    {"special-as-nodes", "oxenstored", Effect::parted,
     "oxenstored keeps @releaseDomain and @introduceDomain as nodes that can be read and written; "
     "a path is otherwise absolute or relative.",
     [](const Disagreement& d) {
       return d.step != nullptr && path_starts(d, '@') && only_other_did_it(d);
     }},
    {"control-for-all", "oxenstored", Effect::none,
     "oxenstored answers OK to CONTROL of an unprivileged client and does nothing.",
     [](const Disagreement& d) { return is_request(d, XS_CONTROL) && only_other_did_it(d); }},
    {"lax-arguments", "oxenstored", Effect::none,
     "oxenstored ignores what follows the arguments of these.",
     [](const Disagreement& d) {
       return (is_request(d, XS_IS_DOMAIN_INTRODUCED) || is_request(d, XS_RESUME)) && answers(d);
     }},
    {"target-arguments", "oxenstored", Effect::parted,
     "oxenstored wants SET_TARGET to have nothing after its two arguments.",
     [](const Disagreement& d) { return is_request(d, XS_SET_TARGET) && only_pivot_did_it(d); }},
    {"target-unknown", "oxenstored", Effect::parted,
     "oxenstored lets SET_TARGET name a domain that is not introduced.",
     [](const Disagreement& d) { return is_request(d, XS_SET_TARGET) && only_other_did_it(d); }},
    {"owner-of-created", "oxenstored", Effect::parted,
     "oxenstored gives a created node its parent's owner; the creator owns it by xenstored's rule "
     "and "
     "ours, and counts it against its limit. Rights and limits then differ below /t, and the "
     "comparison ends at the first answer or event that shows it.",
     [](const Disagreement& d) {
       const bool rights = (ok(d.pivot_answer) && error_of(d.other_answer) == "EACCES") ||
                           (ok(d.other_answer) && error_of(d.pivot_answer) == "EACCES");
       const bool shown = is_request(d, XS_GET_PERMS) && ok(d.pivot_answer) && ok(d.other_answer);
       const bool counted = ok(d.pivot_answer) && error_of(d.other_answer) == "EQUOTA";
       return (d.about == About::answer && (rights || shown || counted)) ||
              (d.about == About::events && !d.missing.empty()) ||
              (d.about == About::tree && !d.pivot_permissions.empty() &&
               !d.other_permissions.empty());
     }},
};

}  // namespace

std::span<const Rule> accepted_differences() {
  return kRules;
}

const Rule* accepted(const Disagreement& disagreement) {
  const auto found = std::ranges::find_if(kRules, [&](const Rule& rule) {
    return (rule.server == "both" || rule.server == disagreement.server) &&
           rule.applies(disagreement);
  });
  return found == std::end(kRules) ? nullptr : &*found;
}

std::string_view error_of(const Answer& answer) {
  if (answer.kind != Answer::Kind::reply || answer.type != XS_ERROR) return {};
  const std::string_view text = answer.payload;
  return text.substr(0, text.find('\0'));
}

}  // namespace ppvmm::differential
