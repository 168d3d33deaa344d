/// Queue of software timers, earliest first. Pure: the caller says what time it is.
///
/// A binary heap of pointers to timers that their owners hold (usually inside a coroutine frame or
/// a component), so arming allocates only when the heap grows. Arming, cancelling and firing are
/// O(log n).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ppvmm::kernel {

/// Nanoseconds of Xen system time: since the host booted.
using Nanoseconds = std::uint64_t;

class TimerQueue;

/// One timer. Destroying an armed one cancels it. Not movable: the queue knows its address.
class Timer {
 public:
  using Callback = void (*)(void* context);

  /// `callback(context)` is called from the event loop, with the timer disarmed or, if periodic,
  /// armed for its next time.
  Timer(TimerQueue& queue, Callback callback, void* context)
      : queue_(&queue), callback_(callback), context_(context) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Fires once at `deadline`; a deadline in the past fires at the next turn of the loop. Replaces
  /// an earlier arming.
  void once(Nanoseconds deadline);
  /// Fires at `first` and then every `period` > 0. Times that were missed are skipped and counted
  /// in missed(), never fired in a burst.
  void periodic(Nanoseconds first, Nanoseconds period);
  void cancel();

  [[nodiscard]] bool armed() const { return place_ != kNowhere; }
  [[nodiscard]] Nanoseconds deadline() const { return deadline_; }
  [[nodiscard]] std::uint64_t missed() const { return missed_; }

 private:
  friend class TimerQueue;
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  TimerQueue* queue_;
  Callback callback_;
  void* context_;
  Nanoseconds deadline_{};
  Nanoseconds period_{};
  std::uint64_t missed_{};
  std::size_t place_{kNowhere};  ///< Index in the heap.
};

class TimerQueue {
 public:
  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  /// Earliest deadline, if a timer is armed.
  [[nodiscard]] std::optional<Nanoseconds> next() const;
  /// Fires all timers due at `now`, in order of their deadlines. Returns how many. A timer armed by
  /// a callback for a time not after `now` waits for the next call, so this always ends.
  std::size_t fire(Nanoseconds now);
  [[nodiscard]] std::size_t armed() const { return heap_.size(); }

 private:
  friend class Timer;
  void insert(Timer& timer);
  void remove(Timer& timer);
  void rise(std::size_t place);
  void sink(std::size_t place);
  void put(std::size_t place, Timer* timer);

  std::vector<Timer*> heap_;
};

}  // namespace ppvmm::kernel
