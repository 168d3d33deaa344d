#include "kernel/timers.hpp"

namespace ppvmm::kernel {

void Timer::once(Nanoseconds deadline) {
  cancel();
  deadline_ = deadline;
  period_ = 0;
  queue_->insert(*this);
}

void Timer::periodic(Nanoseconds first, Nanoseconds period) {
  cancel();
  deadline_ = first;
  period_ = period;
  missed_ = 0;
  queue_->insert(*this);
}

void Timer::cancel() {
  if (armed()) queue_->remove(*this);
}

std::optional<Nanoseconds> TimerQueue::next() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front()->deadline_;
}

std::size_t TimerQueue::fire(Nanoseconds now) {
  // Callbacks may arm and cancel any timer. The bound on turns keeps one that re-arms itself for
  // now from being served for ever.
  std::size_t fired = 0;
  for (std::size_t turns = heap_.size(); turns > 0 && !heap_.empty(); --turns) {
    Timer& timer = *heap_.front();
    if (timer.deadline_ > now) break;
    remove(timer);
    if (timer.period_ != 0) {
      const Nanoseconds late = now - timer.deadline_;
      timer.missed_ += late / timer.period_;
      timer.deadline_ += (late / timer.period_ + 1) * timer.period_;
      insert(timer);
    }
    ++fired;
    timer.callback_(timer.context_);
  }
  return fired;
}

void TimerQueue::put(std::size_t place, Timer* timer) {
  heap_[place] = timer;
  timer->place_ = place;
}

void TimerQueue::insert(Timer& timer) {
  heap_.push_back(&timer);
  timer.place_ = heap_.size() - 1;
  rise(timer.place_);
}

void TimerQueue::remove(Timer& timer) {
  const std::size_t place = timer.place_;
  Timer* const last = heap_.back();
  heap_.pop_back();
  timer.place_ = Timer::kNowhere;
  if (last == &timer) return;
  put(place, last);
  rise(place);
  sink(last->place_);
}

void TimerQueue::rise(std::size_t place) {
  while (place > 0) {
    const std::size_t parent = (place - 1) / 2;
    if (heap_[parent]->deadline_ <= heap_[place]->deadline_) return;
    Timer* const moved = heap_[place];
    put(place, heap_[parent]);
    put(parent, moved);
    place = parent;
  }
}

void TimerQueue::sink(std::size_t place) {
  for (;;) {
    std::size_t least = place;
    for (std::size_t child = 2 * place + 1; child <= 2 * place + 2 && child < heap_.size();
         ++child) {
      if (heap_[child]->deadline_ < heap_[least]->deadline_) least = child;
    }
    if (least == place) return;
    Timer* const moved = heap_[place];
    put(place, heap_[least]);
    put(least, moved);
    place = least;
  }
}

}  // namespace ppvmm::kernel
