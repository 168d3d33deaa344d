#include "root/inject.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <limits>
#include <thread>
#include <utility>

#include "root/inject_ground.hpp"
#include "root/xen_headers.hpp"

namespace ppvmm::root::inject {
namespace {

/// Between two looks while a moment is waited for: long enough for others to run, short against
/// what a request takes.
constexpr std::chrono::microseconds kLookAgain{30};
/// And how long is looked while it is held. Xen lets timers that expire within 50 us of each other
/// fire together (xen/common/timer.c, TIMER_SLOP), so on one processor a short sleeper's work is
/// always over when the looker's own sleep is: it is met when its timer fires while it is held.
constexpr std::chrono::microseconds kHeldLooking{200};
constexpr std::size_t kWordBits = std::numeric_limits<unsigned long>::digits;

std::array<std::uint64_t*, kRegisterNames.size()> slots(cpu_user_regs_x86_64& regs) {
  return {&regs.rax, &regs.rbx, &regs.rcx, &regs.rdx, &regs.rsi, &regs.rdi,
          &regs.rbp, &regs.rsp, &regs.r8,  &regs.r9,  &regs.r10, &regs.r11,
          &regs.r12, &regs.r13, &regs.r14, &regs.r15, &regs.rip};
}

Result<vcpu_guest_context_any_t> context_of(const Xen& xen, DomId domid) {
  vcpu_guest_context_any_t context{};
  if (xc_vcpu_getcontext(xen.control(), domid, 0, &context) != 0) {
    return failed(fmt::format("read the vCPU context of domain {}", domid));
  }
  return context;
}

Result<void> set_context(const Xen& xen, DomId domid, vcpu_guest_context_any_t& context) {
  if (xc_vcpu_setcontext(xen.control(), domid, 0, &context) != 0) {
    return failed(fmt::format("set the vCPU context of domain {}", domid));
  }
  return {};
}

Result<Mapping> shared_info_of(const Xen& xen, DomId domid, Access access) {
  const auto facts = xen.domain(domid);
  if (!facts) return refused(fmt::format("domain {} does not exist", domid));
  const std::array<Mfn, 1> frames{facts->shared_info};
  return xen.map(domid, frames, access);
}

/// The first port that is pending and not masked.
std::optional<std::uint32_t> pending_port(const shared_info_t& shared) {
  for (std::size_t word = 0; word < std::size(shared.evtchn_pending); ++word) {
    const unsigned long bits = shared.evtchn_pending[word] & ~shared.evtchn_mask[word];
    if (bits != 0) {
      return static_cast<std::uint32_t>(word * kWordBits +
                                        static_cast<std::size_t>(std::countr_zero(bits)));
    }
  }
  return std::nullopt;
}

/// Pauses a domain for as long as it lives; Xen counts pauses, so those of others do not matter.
class Pause {
 public:
  static Result<Pause> take(const Xen& xen, DomId domid) {
    if (auto done = xen.pause(domid); !done) return std::unexpected(done.error());
    return Pause(xen, domid);
  }
  Pause(Pause&& other) noexcept : xen_(std::exchange(other.xen_, nullptr)), domid_(other.domid_) {}
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;
  Pause& operator=(Pause&&) = delete;
  ~Pause() {
    // A domain that is gone has nothing left to go on with.
    if (xen_ != nullptr) static_cast<void>(xen_->unpause(domid_));
  }
  /// Leaves the domain paused.
  void keep() { xen_ = nullptr; }

 private:
  Pause(const Xen& xen, DomId domid) : xen_(&xen), domid_(domid) {}
  const Xen* xen_;
  DomId domid_;
};

class Limit {
 public:
  explicit Limit(std::chrono::milliseconds limit)
      : end_(now_ns() + static_cast<std::uint64_t>(std::chrono::nanoseconds(limit).count())) {}
  [[nodiscard]] bool over() const { return now_ns() >= end_; }

 private:
  std::uint64_t end_;
};

bool stops_first(FaultType fault) {
  return fault != FaultType::kill_supervisor && fault != FaultType::lose_event;
}

}  // namespace

// Stamps are taken while the domain still cannot run: what happens to it is never earlier.
void Injector::stamp(Injection& done) const {
  done.dom0_ns = now_ns();
  done.xen_ns = clock_ ? clock_->now() : 0;
}

std::string Injector::symbol(std::uint64_t address) const {
  return victim_.image->symbols().empty() ? std::string()
                                          : victim_.image->symbols().describe(address);
}

Result<Registers> Injector::registers() const {
  auto context = context_of(*xen_, victim_.domid);
  if (!context) return std::unexpected(context.error());
  Registers found{};
  std::ranges::transform(slots(context->x64.user_regs), found.begin(),
                         [](const std::uint64_t* slot) { return *slot; });
  return found;
}

/// Returns with the domain paused once more than it was.
Result<void> Injector::reach(Moment moment, std::chrono::milliseconds limit) const {
  auto shared = shared_info_of(*xen_, victim_.domid, Access::read);
  if (!shared) return std::unexpected(shared.error());
  const auto& page = *reinterpret_cast<const shared_info_t*>(shared->bytes().data());
  const Limit time(limit);
  auto pause = Pause::take(*xen_, victim_.domid);
  if (!pause) return std::unexpected(pause.error());
  auto held_until = std::chrono::steady_clock::now() + kHeldLooking;
  while (moment != Moment::now) {
    const auto facts = xen_->domain(victim_.domid);
    if (!facts) return refused(fmt::format("domain {} is gone", victim_.domid));
    const bool reached =
        moment == Moment::running ? !facts->blocked : pending_port(page).has_value();
    if (reached) break;
    if (time.over()) {
      return refused(fmt::format("domain {} had no moment \"{}\" within {} ms", victim_.domid,
                                 name_of(moment), limit.count()));
    }
    // Work piles up while the domain is paused; running can only be seen if it may run.
    if (moment == Moment::running) {
      if (std::chrono::steady_clock::now() < held_until) continue;
      if (const auto on = xen_->unpause(victim_.domid); !on) return on;
      std::this_thread::sleep_for(kLookAgain);
      if (const auto off = xen_->pause(victim_.domid); !off) {
        pause->keep();
        return off;
      }
      held_until = std::chrono::steady_clock::now() + kHeldLooking;
    } else {
      std::this_thread::sleep_for(kLookAgain);
    }
  }
  pause->keep();
  return {};
}

Result<Injection> Injector::change_memory(const Request& request, Dice& dice) {
  const Where where = request.where.value_or(default_where(request.fault));
  std::vector<Stretch> stretches;
  if (!request.address) {
    auto found = scouted_ ? Result<std::vector<Stretch>>(*scouted_) : ground(where, dice);
    if (!found) return std::unexpected(found.error());
    stretches = std::move(*found);
  }
  const auto edit = plan_memory(request, stretches, dice);
  if (!edit) return std::unexpected(edit.error());
  auto memory = GuestMemory::open(*xen_, victim_.domid);
  if (!memory) return std::unexpected(memory.error());

  Injection done{.fault = request.fault, .domid = victim_.domid};
  if (!request.address) done.where = where;
  done.address = edit->address;
  done.symbol = symbol(edit->address);
  done.before.resize(edit->bytes.size());
  if (const auto read = memory->read(edit->address, done.before); !read) {
    return std::unexpected(read.error());
  }
  done.after = edit->bytes;
  if (edit->flip) {
    std::ranges::transform(done.before, edit->bytes, done.after.begin(),
                           [](std::byte old, std::byte mask) { return old ^ mask; });
  }
  if (request.rehearse) done.after = done.before;
  if (const auto wrote = memory->write(edit->address, done.after); !wrote) {
    return std::unexpected(wrote.error());
  }
  if (where == Where::digest && edit->flip && !request.address && !request.rehearse) {
    const auto alike = flip_copies(*memory, stretches, done.address, edit->bytes.front());
    if (!alike) return std::unexpected(alike.error());
    done.copies = *alike;
  }
  stamp(done);
  done.replay = {"--address", fmt::format("{:#x}", done.address)};
  if (edit->flip) {
    const auto bit = std::countr_zero(static_cast<unsigned>(edit->bytes.front()));
    done.replay.insert(done.replay.end(), {"--bit", std::to_string(bit)});
  } else {
    done.replay.insert(done.replay.end(), {"--bytes", to_hex(done.after)});
  }
  return done;
}

Result<Injection> Injector::change_register(const Request& request, Dice& dice) {
  auto context = context_of(*xen_, victim_.domid);
  if (!context) return std::unexpected(context.error());
  const auto slot = slots(context->x64.user_regs);
  Registers now{};
  std::ranges::transform(slot, now.begin(), [](const std::uint64_t* each) { return *each; });
  const auto code = ground(Where::code, dice);
  if (!code) return std::unexpected(code.error());
  const auto edit = plan_register(request, now, *code, dice);
  if (!edit) return std::unexpected(edit.error());

  if (!request.rehearse) *slot.at(edit->reg) = edit->value;
  if (const auto set = set_context(*xen_, victim_.domid, *context); !set) {
    return std::unexpected(set.error());
  }
  Injection done{.fault = request.fault, .domid = victim_.domid};
  done.address = now.at(kRip);
  done.symbol = symbol(done.address);
  done.reg = edit->reg;
  done.reg_before = now.at(edit->reg);
  done.reg_after = *slot.at(edit->reg);
  stamp(done);
  if (request.fault == FaultType::register_flip) {
    const auto bit = std::countr_zero(done.reg_before ^ edit->value);
    done.replay = {"--register", std::string(kRegisterNames.at(edit->reg)), "--bit",
                   std::to_string(bit)};
  } else if (request.fault != FaultType::null_rip) {
    done.replay = {"--value", fmt::format("{:#x}", edit->value)};
  }
  return done;
}

// The domain is held until an event has come for it, which is then taken away: from its side, the
// notification was never sent.
Result<Injection> Injector::lose_event(std::chrono::milliseconds limit) {
  if (const auto reached = reach(Moment::work, limit); !reached) {
    return std::unexpected(reached.error());
  }
  Injection done{.fault = FaultType::lose_event, .domid = victim_.domid};
  auto shared = shared_info_of(*xen_, victim_.domid, Access::read_write);
  if (shared) {
    auto& page = *reinterpret_cast<shared_info_t*>(shared->bytes().data());
    done.port = pending_port(page);
    if (done.port) {
      const std::size_t word = *done.port / kWordBits;
      const unsigned long bit = 1UL << *done.port % kWordBits;
      std::atomic_ref(page.evtchn_pending[word]).fetch_and(~bit);
      if ((page.evtchn_pending[word] & ~page.evtchn_mask[word]) == 0) {
        std::atomic_ref(page.vcpu_info[0].evtchn_pending_sel).fetch_and(~(1UL << word));
      }
      // Left alone the upcall flag would make the unikernel look, which is no lost event.
      if (!pending_port(page)) page.vcpu_info[0].evtchn_upcall_pending = 0;
    }
  }
  stamp(done);
  if (const auto on = xen_->unpause(victim_.domid); !on) return std::unexpected(on.error());
  if (!shared) return std::unexpected(shared.error());
  if (!done.port) return refused("the event was taken before it could be lost");
  return done;
}

Result<Injection> Injector::kill_supervisor() const {
  if (!supervisor_) return refused("which process is the supervisor? (--supervisor)");
  Injection done{.fault = FaultType::kill_supervisor, .domid = victim_.domid};
  if (kill(*supervisor_, SIGKILL) != 0) return failed(fmt::format("kill process {}", *supervisor_));
  stamp(done);
  return done;
}

/// Looking through a whole heap takes longer than a supervisor lets a domain stand still: what is
/// found by searching is found while it runs.
Result<void> Injector::scout(const Request& request, Dice& dice) {
  scouted_.reset();
  if (target_of(request.fault) != Target::memory || request.address) return {};
  const Where where = request.where.value_or(default_where(request.fault));
  if (where != Where::heap && where != Where::log && where != Where::checkpoint &&
      where != Where::tree && where != Where::digest) {
    return {};
  }
  auto found = ground(where, dice);
  if (!found) return std::unexpected(found.error());
  scouted_ = std::move(*found);
  return {};
}

/// What is done to a paused domain.
Result<Injection> Injector::act(const Request& request, Dice& dice) {
  switch (target_of(request.fault)) {
    case Target::memory:
      return change_memory(request, dice);
    case Target::registers:
      return change_register(request, dice);
    case Target::other:
      break;
  }
  Injection done{.fault = request.fault, .domid = victim_.domid};
  if (const auto now = registers()) {
    done.address = now->at(kRip);
    done.symbol = symbol(done.address);
  }
  if (request.fault == FaultType::stop_vcpu) {
    auto context = context_of(*xen_, victim_.domid);
    if (!context) return std::unexpected(context.error());
    context->x64.flags &= ~static_cast<unsigned long>(VGCF_online_X86_64);
    if (const auto set = set_context(*xen_, victim_.domid, *context); !set) {
      return std::unexpected(set.error());
    }
  }
  stamp(done);
  if (request.fault == FaultType::destroy) {
    clock_.reset();  // a mapped page would keep the domain from ending
    if (const auto gone = xen_->destroy(victim_.domid); !gone) {
      return std::unexpected(gone.error());
    }
  }
  return done;
}

Result<Injection> Injector::inject(const Request& request, Dice& dice,
                                   std::chrono::milliseconds limit) {
  // Without a clock the stamp is missing, and that is all.
  if (auto clock = XenClock::map(*xen_, victim_.domid)) clock_ = std::move(*clock);
  if (request.fault == FaultType::lose_event) return lose_event(limit);
  if (!stops_first(request.fault)) return kill_supervisor();

  if (!scouted_) {
    if (const auto seen = scout(request, dice); !seen) return std::unexpected(seen.error());
  }
  if (const auto reached = reach(request.moment, limit); !reached) {
    return std::unexpected(reached.error());
  }
  auto done = act(request, dice);
  scouted_.reset();
  const bool stays = done && request.fault == FaultType::pause;
  const bool gone = done && request.fault == FaultType::destroy;
  if (!stays && !gone) {
    if (const auto on = xen_->unpause(victim_.domid); !on && done) {
      return std::unexpected(on.error());
    }
  }
  clock_.reset();
  return done;
}

std::vector<Stretch> Injector::heap(GuestMemory& memory) const {
  const auto facts = xen_->domain(victim_.domid);
  if (!facts) return {};
  const Image& image = *victim_.image;
  const std::uint64_t end = image.virtual_base() + facts->pages * kPageSize;
  const std::uint64_t begin = image.virtual_base() + image.pages() * kPageSize;
  // Page tables lie there as well; a PV domain may not write its own.
  return end > begin ? memory.mapped({begin, end - begin}, true) : std::vector<Stretch>{};
}

Result<std::vector<Stretch>> Injector::ground(Where where, Dice& dice) {
  const abi::ImageNote& note = victim_.image->note();
  switch (where) {
    case Where::code:
    case Where::constants:
    case Where::data:
    case Where::bss:
      return image_ground(note, where);
    case Where::vitals:
      return std::vector<Stretch>{{note.vitals_va, note.vitals_bytes}};
    case Where::instruction:
    case Where::stack: {
      const auto now = registers();
      if (!now) return std::unexpected(now.error());
      return where == Where::stack ? stack_ground(note, now->at(kRsp))
                                   : std::vector<Stretch>{{now->at(kRip), kPageSize}};
    }
    case Where::heap:
    case Where::log:
    case Where::checkpoint:
    case Where::tree:
    case Where::digest:
    case Where::frames:
      break;
  }
  auto memory = GuestMemory::open(*xen_, victim_.domid);
  if (!memory) return std::unexpected(memory.error());
  if (where == Where::frames) return frames_ground(*memory, note);
  const auto pages = heap(*memory);
  if (where == Where::heap) return used_page(*memory, pages, dice);
  if (where == Where::tree) return tree_ground(*memory, pages);
  if (where == Where::digest) return digest_ground(*memory, pages);
  return region_ground(*memory, pages, where);
}

}  // namespace ppvmm::root::inject
