#include "kernel/survivors.hpp"

#include <atomic>

namespace ppvmm::kernel {
namespace {

/// The order of stores matters to whoever finds the table after a crash, not to another processor.
void settle() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace

std::optional<std::size_t> Survivors::index_of(abi::SurvivorKind kind, std::uint32_t tag) const {
  for (std::size_t i = 0; i < region_->survivors.size(); ++i) {
    const abi::Survivor& entry = region_->survivors[i];
    if (entry.kind == kind && entry.tag == tag) return i;
  }
  return std::nullopt;
}

void Survivors::write(std::size_t index, const abi::Survivor& entry) {
  abi::Vitals& page = region_->page;
  abi::Survivor& slot = region_->survivors[index];
  const bool was_used = slot.kind != abi::SurvivorKind::none;
  const bool will_be_used = entry.kind != abi::SurvivorKind::none;
  page.survivor_in_work = static_cast<std::uint32_t>(index + 1);
  settle();
  page.survivors_sum ^= slot.sum;
  slot = entry;
  slot.sum = will_be_used ? abi::survivor_sum(entry, index) : 0;
  page.survivors_sum ^= slot.sum;
  page.survivors_used += static_cast<std::uint32_t>(will_be_used);
  page.survivors_used -= static_cast<std::uint32_t>(was_used);
  settle();
  page.survivor_in_work = 0;
}

bool Survivors::add(const abi::Survivor& entry) {
  if (entry.kind == abi::SurvivorKind::none || index_of(entry.kind, entry.tag)) return false;
  for (std::size_t i = 0; i < region_->survivors.size(); ++i) {
    if (region_->survivors[i].kind == abi::SurvivorKind::none) {
      write(i, entry);
      return true;
    }
  }
  return false;
}

bool Survivors::replace(const abi::Survivor& entry) {
  const auto index = index_of(entry.kind, entry.tag);
  if (!index) return false;
  write(*index, entry);
  return true;
}

bool Survivors::remove(abi::SurvivorKind kind, std::uint32_t tag) {
  const auto index = index_of(kind, tag);
  if (!index || kind == abi::SurvivorKind::none) return false;
  write(*index, abi::Survivor{});
  return true;
}

std::optional<abi::Survivor> Survivors::find(abi::SurvivorKind kind, std::uint32_t tag) const {
  const auto index = index_of(kind, tag);
  if (!index) return std::nullopt;
  return region_->survivors[*index];
}

Survivors::Report Survivors::verify() {
  Report report;
  abi::Vitals& page = region_->page;
  const std::uint32_t in_work = page.survivor_in_work;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < region_->survivors.size(); ++i) {
    abi::Survivor& entry = region_->survivors[i];
    const bool unused = entry.kind == abi::SurvivorKind::none && entry.sum == 0;
    if (!unused) {
      if (entry.sum == abi::survivor_sum(entry, i) && entry.kind != abi::SurvivorKind::none) {
        ++report.intact;
      } else if (in_work == i + 1) {
        ++report.torn;
        entry = abi::Survivor{};
      } else {
        ++report.corrupt;
      }
    }
    sum ^= entry.sum;
  }
  if (in_work != 0) {
    // The header was being changed as well; what the entries say counts.
    page.survivors_used = report.intact + report.corrupt;
    page.survivors_sum = sum;
    page.survivor_in_work = 0;
  }
  report.header_good =
      page.survivors_used == report.intact + report.corrupt && page.survivors_sum == sum;
  return report;
}

void Survivors::clear() {
  for (abi::Survivor& entry : region_->survivors)
    entry = abi::Survivor{};
  region_->page.survivors_used = 0;
  region_->page.survivors_sum = 0;
  region_->page.survivor_in_work = 0;
}

}  // namespace ppvmm::kernel
