#include "root/microreboot.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>

#include "root/xen_headers.hpp"

namespace ppvmm::root {
namespace {

constexpr std::size_t kPortsPerWord = std::numeric_limits<unsigned long>::digits;
/// How often the page is looked at while nothing announces a change.
constexpr std::chrono::milliseconds kLookAgain{1};

void clear_bit(unsigned long& word, std::size_t bit) {
  std::atomic_ref(word).fetch_and(~(1UL << bit));
}

}  // namespace

Result<Microreboot> Microreboot::prepare(const Xen& xen, const Image& image,
                                         const BuiltDomain& built) {
  const auto facts = xen.domain(built.domid);
  if (!facts) return refused("domain " + std::to_string(built.domid) + " does not exist");
  const std::array<Mfn, 1> shared_info{facts->shared_info};
  auto shared = xen.map(built.domid, shared_info, Access::read_write);
  if (!shared) return std::unexpected(shared.error());

  const abi::ImageNote& note = image.note();
  Microreboot ready(xen, built.domid,
                    {.rip = note.reentry_va, .rsp = note.reentry_stack, .rdi = 0, .rsi = 0},
                    std::move(*shared));
  for (const abi::ImageRange& range : note.ranges) {
    if (range.action != abi::RangeAction::restore && range.action != abi::RangeAction::zero) {
      continue;
    }
    const std::size_t first = (range.va - image.virtual_base()) / kPageSize;
    const std::size_t count = range.bytes / kPageSize;
    if (count == 0) continue;
    if (first + count > built.image_frames.size()) {
      return refused("the image does not fit what was built from it");
    }
    auto mapping = xen.map(built.domid, std::span(built.image_frames).subspan(first, count),
                           Access::read_write);
    if (!mapping) return std::unexpected(mapping.error());
    std::vector<std::byte> pristine;
    if (range.action == abi::RangeAction::restore) {
      pristine.resize(range.bytes);
      image.copy_pristine(range.va, pristine);
    }
    ready.ranges_.push_back({std::move(*mapping), std::move(pristine),
                             range.access == abi::RangeAccess::read_write, range.va});
  }
  // Taken beforehand; without it the repair itself asks.
  if (auto vcpu = xen.vcpu_state(built.domid)) ready.vcpu_ = std::move(*vcpu);
  return ready;
}

// Only pages that differ are written. Code and constants nearly always are as they should be, and a
// write to code costs every processor (and every emulator) what it had prepared from it.
RestoredPages Microreboot::restore() const {
  RestoredPages result;
  const std::array<std::byte, kPageSize> zeroes{};
  for (const Range& range : ranges_) {
    const auto bytes = range.mapping.bytes();
    for (std::size_t at = 0; at < bytes.size(); at += kPageSize) {
      const std::byte* const wanted =
          range.pristine.empty() ? zeroes.data() : range.pristine.data() + at;
      if (std::memcmp(bytes.data() + at, wanted, kPageSize) == 0) continue;
      std::memcpy(bytes.data() + at, wanted, kPageSize);
      ++result.pages;
      if (!range.writable) ++result.damaged;
    }
  }
  return result;
}

// The reborn code starts with events masked, whatever the old life left behind: it has no handler
// registered yet. Its supervisor port is made quiet and open, so that the notification that follows
// wakes the vCPU even when the old life went to sleep with that port pending or masked. Pending
// bits of all other ports stay: they are work to do.
void Microreboot::quiet_events(std::optional<std::uint32_t> supervisor_port) const {
  auto& shared = *reinterpret_cast<shared_info_t*>(shared_info_.bytes().data());
  auto& vcpu = shared.vcpu_info[0];
  vcpu.evtchn_upcall_mask = 1;
  vcpu.evtchn_upcall_pending = 0;
  if (!supervisor_port) return;
  const std::size_t word = *supervisor_port / kPortsPerWord;
  if (word >= std::size(shared.evtchn_pending)) return;
  const std::size_t bit = *supervisor_port % kPortsPerWord;
  clear_bit(shared.evtchn_pending[word], bit);
  clear_bit(shared.evtchn_mask[word], bit);
  clear_bit(vcpu.evtchn_pending_sel, word);
}

Result<void> Microreboot::set_entry() {
  if (vcpu_ && xen_->set_entry(domid_, entry_, *vcpu_)) return {};
  auto now = xen_->vcpu_state(domid_);
  if (!now) return std::unexpected(now.error());
  vcpu_ = std::move(*now);
  return xen_->set_entry(domid_, entry_, *vcpu_);
}

Result<void> Microreboot::go_on(const abi::Vitals& before, std::optional<Events::Port> link,
                                Events& events) {
  quiet_events(link ? std::optional(before.supervisor_port) : std::nullopt);
  if (const auto set = set_entry(); !set) return set;
  // To one that has not shut down it does nothing, and to ask first costs as much.
  if (const auto on = xen_->resume(domid_); !on) return on;
  return link ? events.notify(*link) : Result<void>{};
}

/// Pauses are counted: whoever stopped the vCPU from outside, once or several times, is overruled.
Result<void> Microreboot::let_run(bool held) const {
  if (!held) return xen_->unpause(domid_);
  constexpr int kMostPauses = 64;
  for (int i = 0; i < kMostPauses; ++i) {
    if (auto on = xen_->unpause(domid_); !on) return on;
    const auto facts = xen_->domain(domid_);
    if (!facts || !facts->paused) return {};
  }
  return refused("domain " + std::to_string(domid_) + " stays paused");
}

Result<MicrorebootReport> Microreboot::enter(abi::FaultKind cause, VitalsView& vitals,
                                             Events& events, std::optional<Events::Port> link,
                                             bool held) {
  const std::uint64_t begin = now_ns();
  if (const auto done = xen_->pause(domid_); !done) return std::unexpected(done.error());
  const std::uint64_t paused = now_ns();
  const abi::Vitals before = vitals.page();
  vitals.note_reboot(cause, begin);
  const RestoredPages changed = restore();
  const std::uint64_t restored = now_ns();
  if (const auto done = go_on(before, link, events); !done) return std::unexpected(done.error());
  if (const auto done = let_run(held); !done) return std::unexpected(done.error());
  const std::uint64_t entered = now_ns();
  return MicrorebootReport{.pause_ns = paused - begin,
                           .restore_ns = restored - paused,
                           .enter_ns = entered - restored,
                           .ready_ns = 0,
                           .total_ns = entered - begin,
                           .restored = changed};
}

Result<MicrorebootReport> Microreboot::run(abi::FaultKind cause, VitalsView& vitals, Events& events,
                                           std::optional<Events::Port> link,
                                           std::chrono::milliseconds limit) {
  const std::uint32_t before = vitals.incarnation();
  auto report = enter(cause, vitals, events, link, true);
  if (!report) return report;
  const std::uint64_t entered = now_ns();
  const auto ready = wait_ready(*xen_, domid_, vitals, before, events, limit);
  if (!ready) return std::unexpected(ready.error());
  report->ready_ns = now_ns() - entered;
  report->total_ns += report->ready_ns;
  return report;
}

std::optional<std::uint64_t> Microreboot::scrub(std::size_t pages) {
  std::size_t all = 0;
  for (const Range& range : ranges_) {
    if (!range.writable) all += range.pristine.size() / kPageSize;
  }
  if (all == 0) return std::nullopt;
  for (std::size_t i = 0; i < std::min(pages, all); ++i) {
    std::size_t at = scrubbed_++ % all;
    for (const Range& range : ranges_) {
      const std::size_t here = range.writable ? 0 : range.pristine.size() / kPageSize;
      if (at >= here) {
        at -= here;
        continue;
      }
      const std::size_t offset = at * kPageSize;
      if (std::memcmp(range.mapping.bytes().data() + offset, range.pristine.data() + offset,
                      kPageSize) != 0) {
        return range.address + offset;
      }
      break;
    }
  }
  return std::nullopt;
}

Result<void> wait_ready(const Xen& xen, DomId domid, const VitalsView& vitals, std::uint32_t after,
                        Events& events, std::chrono::milliseconds limit) {
  const std::uint64_t end =
      now_ns() + static_cast<std::uint64_t>(std::chrono::nanoseconds(limit).count());
  while (true) {
    // Xen is asked first: what the page says afterwards is not older than what Xen says.
    const auto facts = xen.domain(domid);
    const abi::LifeState state = vitals.state();
    const bool reborn = vitals.incarnation() > after;
    // One that was ready and has ended since, as a test image does at once, was ready.
    if (reborn && vitals.page().ready_ns != 0) return {};
    if (reborn && state == abi::LifeState::lost) {
      return refused("the unikernel refused re-entry: what had to survive did not");
    }
    if (!facts) return refused("domain " + std::to_string(domid) + " is gone");
    if (facts->shut_down || facts->dying) {
      const abi::Vitals page = vitals.page();
      return refused("domain " + std::to_string(domid) + " stopped before it was ready (state " +
                     std::string(name_of(page.state)) + ", fault " +
                     std::string(name_of(page.fault.kind)) + ")");
    }
    if (now_ns() >= end) {
      return refused("domain " + std::to_string(domid) + " is not ready after " +
                     std::to_string(limit.count()) + " ms (state " + std::string(name_of(state)) +
                     ")");
    }
    if (const auto heard = events.wait(kLookAgain); !heard) return std::unexpected(heard.error());
  }
}

}  // namespace ppvmm::root
