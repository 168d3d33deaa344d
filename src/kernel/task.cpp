#include "kernel/task.hpp"

namespace ppvmm::kernel::task {
namespace {

/// Whose task runs now: awaiters know only a coroutine handle. One thread, so one is enough.
Scheduler* running = nullptr;

}  // namespace

void Waiter::hold(std::coroutine_handle<> handle) {
  // A coroutine resumed by hand, outside any scheduler, has nobody to bring it back.
  if (running == nullptr) __builtin_trap();
  handle_ = handle;
  root_ = running->current();
}

void Waiter::release() {
  unlink();
  root_->scheduler_->make_ready(*this);
}

void Waiter::unlink() {
  if (queue_ == nullptr) return;
  (previous_ != nullptr ? previous_->next_ : queue_->head_) = next_;
  (next_ != nullptr ? next_->previous_ : queue_->tail_) = previous_;
  --queue_->size_;
  queue_ = nullptr;
  next_ = nullptr;
  previous_ = nullptr;
}

WaitQueue::~WaitQueue() {
  while (!empty())
    (void)pop();
}

void WaitQueue::push(Waiter& waiter) {
  waiter.unlink();
  waiter.queue_ = this;
  waiter.previous_ = tail_;
  (tail_ != nullptr ? tail_->next_ : head_) = &waiter;
  tail_ = &waiter;
  ++size_;
}

Waiter* WaitQueue::pop() {
  Waiter* const first = head_;
  if (first != nullptr) first->unlink();
  return first;
}

std::size_t Scheduler::run() {
  Scheduler* const outer = running;
  running = this;
  std::size_t resumed = 0;
  for (std::size_t turns = ready_.size(); turns > 0; --turns) {
    Waiter* const waiter = ready_.pop();
    if (waiter == nullptr) break;  // those after it were cancelled meanwhile
    TaskRoot& root = *waiter->root_;
    current_ = &root;
    if (observer_ != nullptr) observer_(root.component_, true);
    waiter->handle_.resume();
    if (observer_ != nullptr) observer_(root.component_, false);
    current_ = nullptr;
    ++resumed;
    if (root.cancelled_ || root.done()) root.reap();
  }
  running = outer;
  return resumed;
}

TaskRoot::TaskRoot(Scheduler& scheduler, Task<void> task, std::uint32_t component)
    : scheduler_(&scheduler), task_(std::move(task)), component_(component) {
  start_.handle_ = task_.handle();
  start_.root_ = this;
  ++scheduler_->live_;
  if (start_.handle_) scheduler_->make_ready(start_);
}

TaskRoot::~TaskRoot() {
  if (scheduler_->current_ == this) __builtin_trap();
  reap();
}

void TaskRoot::cancel() {
  cancelled_ = true;
  if (scheduler_->current_ != this) reap();
}

void TaskRoot::reap() {
  start_.unlink();
  task_ = Task<void>{};
  if (live_) --scheduler_->live_;
  live_ = false;
}

void Reschedule::await_suspend(std::coroutine_handle<> handle) {
  waiter_.hold(handle);
  waiter_.release();
}

void Signal::Awaiter::await_suspend(std::coroutine_handle<> handle) {
  waiter_.hold(handle);
  signal_->waiting_.push(waiter_);
}

void Signal::announce() {
  while (Waiter* const waiter = waiting_.pop())
    waiter->release();
}

void Sleep::await_suspend(std::coroutine_handle<> handle) {
  waiter_.hold(handle);
  timer_.once(deadline_);
}

void Sleep::fire(void* self) {
  static_cast<Sleep*>(self)->waiter_.release();
}

}  // namespace ppvmm::kernel::task
