/// Coroutine tasks: code that waits, written from top to bottom.
///
/// One thread, no preemption. A task runs from one co_await to the next; the scheduler resumes what
/// became ready, in order. Waiting costs no allocation: the link into a queue lies in the coroutine
/// frame.
///
/// Cancellation is destruction. Cancelling a task destroys its frame at the point where it waits,
/// and with it everything it owns: locals, the child tasks it awaits, its places in queues. So
/// clean-up is what destructors do, and no waiting code has to ask whether it was cancelled. Pure.
#pragma once

#include <coroutine>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "kernel/timers.hpp"

namespace ppvmm::kernel::task {

/// Link of something that waits to be resumed. Leaves its queue when destroyed.
class Waiter {
 public:
  Waiter() = default;
  ~Waiter() { unlink(); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  /// Notes who waits: `handle`, of the task that runs now.
  void hold(std::coroutine_handle<> handle);
  /// Makes the waiting task ready.
  void release();

 private:
  friend class WaitQueue;
  friend class Scheduler;
  friend class TaskRoot;
  void unlink();

  Waiter* next_{};
  Waiter* previous_{};
  class WaitQueue* queue_{};
  std::coroutine_handle<> handle_{};
  class TaskRoot* root_{};
};

/// First in, first out.
class WaitQueue {
 public:
  WaitQueue() = default;
  ~WaitQueue();
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;

  void push(Waiter& waiter);
  [[nodiscard]] Waiter* pop();
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  friend class Waiter;
  Waiter* head_{};
  Waiter* tail_{};
  std::size_t size_{};
};

/// Runs ready coroutines. One per unikernel (scheduler()), more of them in tests.
class Scheduler {
 public:
  /// Called before (true) and after (false) a task of `component` runs.
  using Observer = void (*)(std::uint32_t component, bool begins);

  Scheduler() = default;
  explicit Scheduler(Observer observer) : observer_(observer) {}
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Resumes what is ready now; what becomes ready meanwhile waits for the next call. Returns how
  /// many were resumed.
  std::size_t run();
  void make_ready(Waiter& waiter) { ready_.push(waiter); }
  [[nodiscard]] bool idle() const { return ready_.empty(); }
  [[nodiscard]] class TaskRoot* current() const { return current_; }
  [[nodiscard]] std::uint64_t live_tasks() const { return live_; }

 private:
  friend class TaskRoot;
  WaitQueue ready_;
  Observer observer_{};
  class TaskRoot* current_{};
  std::uint64_t live_{};
};

/// The scheduler that the event loop runs (runtime only).
[[nodiscard]] Scheduler& scheduler();
/// For the event loop: one round of the scheduler. True if anything ran.
bool run_ready();

template <typename Result = void>
class Task;

namespace detail {

/// On its end a coroutine continues whoever awaits it.
struct FinalAwaiter {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
    const auto continuation = handle.promise().continuation;
    return continuation ? continuation : std::noop_coroutine();
  }
  void await_resume() const noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> continuation;
  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  [[nodiscard]] FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() const noexcept {}  // there are no exceptions
};

template <typename Result>
struct Promise : PromiseBase {
  std::optional<Result> result;
  Task<Result> get_return_object();
  void return_value(Result value) { result.emplace(std::move(value)); }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
};

}  // namespace detail

/// A coroutine that starts when it is awaited (or spawned) and is owned by this object.
template <typename Result>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<Result>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  ~Task() { reset(); }
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      reset();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }

  [[nodiscard]] bool await_ready() const { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) {
    handle_.promise().continuation = awaiting;
    return handle_;
  }
  Result await_resume() {
    if constexpr (!std::is_void_v<Result>) return std::move(*handle_.promise().result);
  }

  [[nodiscard]] Handle handle() const { return handle_; }
  [[nodiscard]] bool done() const { return !handle_ || handle_.done(); }

 private:
  void reset() {
    if (handle_) handle_.destroy();
    handle_ = {};
  }
  Handle handle_{};
};

namespace detail {
template <typename Result>
Task<Result> Promise<Result>::get_return_object() {
  return Task<Result>{std::coroutine_handle<Promise>::from_promise(*this)};
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>{std::coroutine_handle<Promise>::from_promise(*this)};
}
}  // namespace detail

/// A task on its own: started by the scheduler, alive until it ends or is cancelled. Destroying the
/// object cancels it.
class TaskRoot {
 public:
  /// `component` is its index in the vitals' progress table, counted up each time the task runs.
  TaskRoot(Scheduler& scheduler, Task<void> task, std::uint32_t component = 0);
  ~TaskRoot();
  TaskRoot(const TaskRoot&) = delete;
  TaskRoot& operator=(const TaskRoot&) = delete;

  /// Destroys the coroutine where it waits. Called by the task itself it takes effect when the task
  /// next waits. (A task must not destroy its own TaskRoot: that traps.)
  void cancel();
  [[nodiscard]] bool done() const { return task_.done(); }
  [[nodiscard]] std::uint32_t component() const { return component_; }

 private:
  friend class Scheduler;
  friend class Waiter;
  void reap();

  Scheduler* scheduler_;
  Task<void> task_;
  Waiter start_;
  std::uint32_t component_;
  bool cancelled_{};
  bool live_{true};
};

/// co_await Reschedule{}: lets the others run first.
class Reschedule {
 public:
  Reschedule() = default;
  [[nodiscard]] bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle);
  void await_resume() const {}

 private:
  Waiter waiter_;
};

/// Something that tasks wait for and others announce. Every announcement resumes all who wait.
class Signal {
 public:
  class Awaiter {
   public:
    explicit Awaiter(Signal& signal) : signal_(&signal) {}
    [[nodiscard]] bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle);
    void await_resume() const {}

   private:
    Signal* signal_;
    Waiter waiter_;
  };
  [[nodiscard]] Awaiter wait() { return Awaiter{*this}; }
  /// Makes all waiting tasks ready. Nothing is remembered if none waits.
  void announce();

 private:
  WaitQueue waiting_;
};

/// co_await Sleep{queue, deadline}: until `deadline`.
class Sleep {
 public:
  Sleep(TimerQueue& queue, Nanoseconds deadline)
      : timer_(queue, &Sleep::fire, this), deadline_(deadline) {}
  [[nodiscard]] bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle);
  void await_resume() const {}

 private:
  static void fire(void* self);
  Timer timer_;
  Nanoseconds deadline_;
  Waiter waiter_;
};

}  // namespace ppvmm::kernel::task
