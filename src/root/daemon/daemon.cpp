#include "root/daemon/daemon.hpp"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <span>
#include <utility>

#include "root/scheduler.hpp"

namespace ppvmm::root::daemon {
namespace {

constexpr std::uint64_t kPollPace = kNsPerMs / 2;
/// Consoles and records wait for the end of a repair, but not longer than this.
constexpr std::uint64_t kChoresPace = 20 * kNsPerMs;
/// Files and metrics are brought up to date this often, and never in the middle of a repair.
constexpr std::uint64_t kBooksPace = 20 * kNsPerMs;

}  // namespace

Daemon::Daemon(Config config, std::string state_dir, Xen xen, Events events, Control control,
               std::unique_ptr<Metrics> metrics)
    : config_(std::move(config)),
      state_dir_(std::move(state_dir)),
      xen_(std::move(xen)),
      events_(std::move(events)),
      control_(std::move(control)),
      metrics_(std::move(metrics)),
      registry_(state_dir_),
      history_file_(state_dir_ + "/history.jsonl"),
      supervisor_(history_),
      started_ns_(now_ns()) {
  constexpr std::uint32_t kFew = 4;
  crowded_ = xen_.processors() <= kFew;
}

Daemon::~Daemon() {
  handles_.clear();
  if (inotify_ >= 0) close(inotify_);
}

Result<std::unique_ptr<Daemon>> Daemon::start(Config config, std::string state_dir) {
  auto xen = Xen::open();
  if (!xen) return std::unexpected(xen.error());
  auto events = Events::open();
  if (!events) return std::unexpected(events.error());
  auto control = Control::listen(state_dir + "/" + kSocketName);
  if (!control) return std::unexpected(control.error());
  auto metrics = Metrics::serve(config.metrics);
  if (!metrics) return std::unexpected(metrics.error());
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(config), std::move(state_dir),
                                            std::move(*xen), std::move(*events),
                                            std::move(*control), std::move(*metrics)));
  // Deaths of domains come here while no XenStore domain has them routed to itself, and again from
  // the moment that domain is destroyed. Another daemon may hold the port: then looking must do.
  if (const auto bound = daemon->events_.bind_domain_exceptions(); !bound) {
    daemon->say("domain deaths are only seen by looking: " + bound.error().text());
  }
  if (const auto set = wake_at_once(daemon->xen_); !set) {
    daemon->say("the scheduler is left as it is: " + set.error().text());
  } else if (daemon->crowded_) {
    // One that loops would else have eight ninths of a processor that we need to see it.
    constexpr DomId kDom0 = 0;
    if (const auto known = favour(daemon->xen_, kDom0); !known) daemon->say(known.error().text());
  }
  if (const auto loaded = daemon->history_file_.load(daemon->history_); !loaded) {
    return std::unexpected(loaded.error());
  }
  daemon->inotify_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (daemon->inotify_ < 0 || inotify_add_watch(daemon->inotify_, daemon->state_dir_.c_str(),
                                                IN_MOVED_TO | IN_DELETE) < 0) {
    return failed("watch " + daemon->state_dir_);
  }
  daemon->registry_changed();
  for (const auto& [id, handle] : daemon->handles_)
    handle->inherit();
  return daemon;
}

void Daemon::say(const std::string& line) {
  fmt::print(stderr, "ppvmm-root: {}\n", line);
}

Result<void> Daemon::run(const volatile std::sig_atomic_t& stop) {
  while (stop == 0) {
    const std::uint64_t before = now_ns();
    if (now_ns_ != 0) {
      last_turn_ns_ = before - now_ns_;
      working_ns_ += last_turn_ns_;
    }
    wait();
    now_ns_ = now_ns();
    take_events();
    tend_errands();
    look();
    carry_out();
    tend_errands();  // what was ordered now is begun now
    end_stillness();
    const bool at_rest = !supervisor_.busy() && !stillness_.any();
    if (at_rest || now_ns_ - last_chores_ns_ >= kChoresPace) do_chores();
    const auto to_control = std::span(waited_).subspan(2, errands_at_ - 2);
    if (std::ranges::any_of(to_control, fired)) {
      control_.serve([this](const auto& question) { return answer(question); });
    }
    if (supervisor_.busy()) continue;
    scrub();
    if (now_ns_ - last_books_ns_ >= kBooksPace) keep_books();
  }
  do_chores();
  keep_books();
  return {};
}

void Daemon::wait() {
  waited_.clear();
  waited_.push_back({.fd = events_.descriptor(), .events = POLLIN, .revents = 0});
  waited_.push_back({.fd = inotify_, .events = POLLIN, .revents = 0});
  control_.add_to(waited_);
  errands_at_ = waited_.size();
  for (const auto& [id, handle] : handles_) {
    if (handle->errands().idle()) continue;
    waited_.push_back({.fd = handle->errands().descriptor(), .events = POLLIN, .revents = 0});
  }
  // At real-time priority it must not eat the processor, however slow that is: a turn is followed
  // by a rest of several times its length, and of its own length while there is a repair.
  constexpr std::uint64_t kRest = 6;
  const std::uint64_t pace = supervisor_.must_poll() ? std::max(kPollPace, last_turn_ns_)
                             : supervisor_.busy()
                                 ? std::max(kBusyPace, kRest * last_turn_ns_)
                                 : std::max(config_.pace_ns, kRest * last_turn_ns_);
  const timespec limit{.tv_sec = static_cast<time_t>(pace / kNsPerSecond),
                       .tv_nsec = static_cast<long>(pace % kNsPerSecond)};
  // A signal only means that `stop` may be set now.
  woken_ = ppoll(waited_.data(), waited_.size(), &limit, nullptr) != 0;
}

}  // namespace ppvmm::root::daemon
