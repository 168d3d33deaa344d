/// Event channels and the loop that everything runs from.
///
/// Events never interrupt code: they stay masked while anything runs, and the loop looks at the
/// pending bits when the last piece of work is done (docs/vitals.md, "Why no interrupts"). So there
/// are no locks, and a handler runs to its end.
#pragma once

#include <cstdint>
#include <expected>

#include "abi/xen.hpp"
#include "kernel/timers.hpp"

namespace ppvmm::kernel::events {

using abi::DomId;
using abi::Port;

/// Why an event-channel operation did not happen.
enum class Error : std::uint8_t {
  no_such_port,  ///< Remote domain or port does not exist, or is not meant for us.
  denied,        ///< Not allowed.
  no_space,      ///< No free port.
  other,         ///< Anything else Xen answers.
};

/// Called from the loop, with the pending bit already cleared: a notification that comes while it
/// runs calls it again.
using Handler = void (*)(void* context, Port port);

/// A port of our own that `remote` may bind.
[[nodiscard]] std::expected<Port, Error> alloc_unbound(DomId remote);
/// A port bound to `remote_port` of `remote`.
[[nodiscard]] std::expected<Port, Error> bind_interdomain(DomId remote, Port remote_port);
/// A port for a virtual interrupt (VIRQ_*) of vCPU 0. Ports bound to VIRQs survive nothing: they
/// are closed at a microreboot, since a VIRQ can be bound again.
[[nodiscard]] std::expected<Port, Error> bind_virq(std::uint32_t virq);
/// A port for a physical interrupt that the domain may use (MSI of an assigned device). It masks
/// nothing by itself: its handler calls eoi() as soon as the device will not raise it again for
/// what it is about to handle. Closed at a microreboot like a VIRQ; the interrupt can be bound
/// again.
[[nodiscard]] std::expected<Port, Error> bind_pirq(std::uint32_t pirq);
/// Lets a physical interrupt come again (physdev.h, PHYSDEVOP_eoi). Harmless if none was held.
void eoi(std::uint32_t pirq);
/// Closes the port and forgets its handler. Unknown ports are ignored.
void close(Port port);

/// This domain's own id, which Xen tells a PV domain only in passing; 0x7FF0 (DOMID_SELF) if it
/// could not be learned.
[[nodiscard]] DomId own_domain();

/// Handles the port's events from now on and unmasks it. `handler` null: masks it.
void handle(Port port, Handler handler, void* context);
/// Tells the other end. A port that is not connected drops it, as Xen does.
void notify(Port port);

/// Keeps the port over microreboots: the next incarnation finds it under `tag` with survived().
/// False if the tag is taken or the table full.
[[nodiscard]] bool survive(Port port, std::uint32_t tag, DomId remote, Port remote_port);
/// The port that an earlier incarnation kept under `tag`; 0 if none. It is still bound. An event
/// pending from before is delivered once a handler is set, and handle() marks it pending in any
/// case, since the earlier incarnation may have taken a notification without acting on it.
[[nodiscard]] Port survived(std::uint32_t tag);
/// Ends what survive() began; the port stays open in this incarnation.
void forget(std::uint32_t tag);

/// One turn: handles what is pending, fires timers, runs ready tasks. True if it did anything.
bool turn();
/// Turns until stop() is called, sleeping in Xen whenever there is nothing to do.
void run();
/// Makes run() return after the current turn.
void stop();
/// Turns until `done(context)` is true or `deadline` passes; says whether it became true. For tests
/// and start-up; tasks wait with co_await instead.
[[nodiscard]] bool run_until(bool (*done)(void* context), void* context, Nanoseconds deadline);

// --- For the runtime itself.

/// Lets upcalls come, for `port` alone; the others' events wait. Until admit_all(), which masks
/// upcalls again and makes pending what came meanwhile, no port may be handled or closed.
void admit_only(Port port);
void admit_all();
/// Masks or unmasks the port, and nothing else: what is pending is not raised.
void mask(Port port, bool masked);
/// Takes the port's pending event. False if there is none.
[[nodiscard]] bool take(Port port);
/// Between admit_only() and admit_all(): an upcall came, and no other is wanted for the same
/// events.
void take_upcall();

/// Masks upcalls, finds survivors, closes ports of the last incarnation that are not.
void set_up(bool reborn);
/// Creates (or finds again) the port by which root and this domain wake each other.
void set_up_supervisor(bool reborn);

}  // namespace ppvmm::kernel::events
