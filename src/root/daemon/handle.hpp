/// One unikernel in the daemon's hands: everything a repair needs, mapped and parsed beforehand,
/// and the few things that the supervisor can order. Thin: it decides nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "root/console.hpp"
#include "root/daemon/errands.hpp"
#include "root/daemon/supervisor.hpp"
#include "root/events.hpp"
#include "root/image.hpp"
#include "root/microreboot.hpp"
#include "root/registry.hpp"
#include "root/vitals_view.hpp"
#include "root/xen.hpp"
#include "root/xen_clock.hpp"

namespace ppvmm::root::daemon {

class Handle {
 public:
  Handle(const Xen& xen, Events& events, Record record, std::shared_ptr<const Image> image,
         std::string state_dir)
      : xen_(&xen),
        events_(&events),
        record_(std::move(record)),
        image_(std::move(image)),
        errands_(std::move(state_dir)) {}
  ~Handle() { let_go(); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  /// Maps what there is of the domain. Fails when it is not (any more) the one of the record; then
  /// there is nothing to look at, and a rebuild is the only repair.
  [[nodiscard]] Result<void> take_hold();
  /// The same for what cannot wait: the vitals page and the link. The rest follows with the next
  /// take_hold(), or before it is needed.
  [[nodiscard]] Result<void> take_first_hold();
  /// Is there nothing left that take_hold() would map?
  [[nodiscard]] bool wholly_held() const { return vitals_ && reboot_; }
  /// Since when it has been held.
  [[nodiscard]] std::uint64_t held_since_ns() const { return held_since_ns_; }
  /// Maps what take_first_hold() left.
  [[nodiscard]] Result<void> complete_hold();
  /// Gives up every mapping and port: until then a domain that ends keeps its id.
  void let_go();
  [[nodiscard]] bool held() const { return vitals_.has_value(); }

  /// What can be seen now. `facts`: what Xen says of the domain, nothing when there is none.
  [[nodiscard]] Observation look(const std::optional<DomainFacts>& facts, std::uint64_t now_ns);
  /// Was the head of its vitals page overwritten, and restored by a look since the last call?
  [[nodiscard]] bool take_restored_header() { return std::exchange(restored_header_, false); }
  /// Does anything in its memory say that Xen should be asked about it? Cheap: reads two pages.
  /// One that has moved since the last look lives, and one that sleeps with nothing to do is not
  /// missed by anybody for a moment.
  [[nodiscard]] bool worth_asking();
  /// What Xen said last.
  [[nodiscard]] const std::optional<DomainFacts>& facts() const { return facts_; }
  /// Until then a pause from outside is not held against it: somebody announced it.
  void tolerate_pause(std::uint64_t until_ns) { tolerate_until_ns_ = until_ns; }
  /// Notices that came since the last call, oldest first, on this clock; `gap` counts lost ones.
  [[nodiscard]] std::vector<NoticeSeen> take_notices(std::uint64_t& gap);
  /// Does its page say that it ended itself? Cheap: reads one word.
  [[nodiscard]] bool fell() const { return vitals_ && vitals_->state() == abi::LifeState::dead; }
  /// The fault record, if there is one of this life.
  [[nodiscard]] std::optional<abi::Fault> fault() const;
  /// A fault record in words.
  [[nodiscard]] std::string words_of(const abi::Fault& fault) const;
  /// Binds to the supervisor port when the unikernel offers one.
  void link_up();

  void ping();
  void nudge();
  [[nodiscard]] Acted microreboot(const Action& action);
  /// Of one with a place in XenStore: pciback is told to let go as well (a errand).
  [[nodiscard]] Acted destroy();
  /// One with a place in XenStore is left paused: it gets that place (the errand "join"), and runs
  /// when let_run() is called.
  [[nodiscard]] Acted build(const Action& action);
  [[nodiscard]] Result<void> let_run() const { return xen_->unpause(record_.built.domid); }
  /// What is still missing of its home in XenStore once it serves (the errand "home").
  void furnish();
  [[nodiscard]] Acted command(const Action& action);
  /// What it serves goes to the unit of that name (the errand "move").
  void move_to(const std::string& other);
  /// Words of its policy, in force from now on (abi::Orders::words).
  void order_words(const std::string& words);
  /// What others do for it (errands.hpp).
  [[nodiscard]] Errands& errands() { return errands_; }
  /// First damaged address among the next `pages` pages of code and constants.
  [[nodiscard]] std::optional<std::uint64_t> scrub(std::size_t pages);
  /// What stands in its console ring; empty unless root keeps the console.
  [[nodiscard]] std::string take_console();

  /// It ran under an earlier root, which may have ended while it had it paused: lets it run if it
  /// is alive, and remembers for its next repair that it may be held if it is not.
  void inherit();
  /// Is this the port of its console?
  [[nodiscard]] bool talks_at(Events::Port port) const { return console_port_ == port; }
  [[nodiscard]] const Record& record() const { return record_; }
  [[nodiscard]] Record& record() { return record_; }
  [[nodiscard]] const Image& image() const { return *image_; }
  /// Where the time of the last rebuild went, in nanoseconds.
  struct RebuildReport {
    std::uint64_t let_go_ns{};   ///< To give up mappings and ports.
    std::uint64_t destroy_ns{};  ///< Xen's call.
    std::uint64_t build_ns{};    ///< From an empty id to a domain with its image.
    std::uint64_t hold_ns{};     ///< To map it and bind its ports.
  };
  [[nodiscard]] const std::optional<RebuildReport>& last_rebuild() const { return rebuild_report_; }
  [[nodiscard]] const std::optional<MicrorebootReport>& last_reboot() const {
    return reboot_report_;
  }
  /// A time of Xen's clock on dom0's monotonic one; 0 stays 0.
  [[nodiscard]] std::uint64_t to_dom0(std::uint64_t xen_ns);

 private:
  const Xen* xen_;
  Events* events_;
  Record record_;
  std::shared_ptr<const Image> image_;
  Errands errands_;
  std::optional<VitalsView> vitals_;
  bool was_plausible_{};  ///< Its vitals page, since it was mapped.
  bool restored_header_{};
  std::optional<Microreboot> reboot_;
  std::optional<XenClock> clock_;
  std::optional<ConsoleReader> console_;
  Mapping shared_info_;
  std::optional<Events::Port> link_;
  std::optional<Events::Port> console_port_;
  std::uint32_t linked_to_{};
  std::optional<MicrorebootReport> reboot_report_;
  std::optional<RebuildReport> rebuild_report_;
  std::uint64_t tolerate_until_ns_{};
  std::uint64_t held_since_ns_{};
  std::optional<DomainFacts> facts_;
  bool inherited_{};       ///< An earlier root may hold pauses of it.
  std::uint64_t moved_{};  ///< Progress at the last look.
};

}  // namespace ppvmm::root::daemon
