#include "root/daemon/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <exception>
#include <map>

namespace ppvmm::root::daemon {
namespace {

constexpr double kNsPerSecond = 1e9;

const prometheus::Histogram::BucketBoundaries kSeconds{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02,
                                                       0.04,   0.08,  0.16,  0.5,   1,    5};

double seconds(std::uint64_t from, std::uint64_t to) {
  return to > from ? static_cast<double>(to - from) / kNsPerSecond : 0;
}

}  // namespace

struct Metrics::Parts {
  template <class T>
  using Family = prometheus::Family<T>;

  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  Family<prometheus::Counter>& incidents = prometheus::BuildCounter()
                                               .Name("ppvmm_incidents_total")
                                               .Help("Faults seen, by unit, cause and outcome")
                                               .Register(*registry);
  Family<prometheus::Histogram>& detection =
      prometheus::BuildHistogram()
          .Name("ppvmm_detection_seconds")
          .Help("From a fault (recorded by the unikernel, or injected) until root saw it")
          .Register(*registry);
  Family<prometheus::Histogram>& repair =
      prometheus::BuildHistogram()
          .Name("ppvmm_repair_seconds")
          .Help("From seeing a fault until the unit was ready again")
          .Register(*registry);
  Family<prometheus::Gauge>& up = prometheus::BuildGauge()
                                      .Name("ppvmm_unit_up")
                                      .Help("1: well. 0: under repair. -1: given up")
                                      .Register(*registry);
  Family<prometheus::Gauge>& member = prometheus::BuildGauge()
                                          .Name("ppvmm_backup_member")
                                          .Help("1: the primary uses this backup")
                                          .Register(*registry);
  Family<prometheus::Gauge>& repairs =
      prometheus::BuildGauge()
          .Name("ppvmm_unit_repairs")
          .Help("Repairs made by this run of root, by unit and kind")
          .Register(*registry);
  Family<prometheus::Gauge>& parts =
      prometheus::BuildGauge()
          .Name("ppvmm_part_repairs")
          .Help("Repairs that parts of a unit made by themselves, as far as this run of root knows")
          .Register(*registry);
  prometheus::Gauge& looks = prometheus::BuildGauge()
                                 .Name("ppvmm_looks")
                                 .Help("Times root has looked at the host")
                                 .Register(*registry)
                                 .Add({});
  prometheus::Gauge& scrubbed = prometheus::BuildGauge()
                                    .Name("ppvmm_scrubbed_pages")
                                    .Help("Pages of code and constants compared with their image")
                                    .Register(*registry)
                                    .Add({});
  /// What is shown of a unit, so that it can be taken away again.
  struct Shown {
    prometheus::Gauge* up{};
    prometheus::Gauge* member{};
    prometheus::Gauge* microreboots{};
    prometheus::Gauge* rebuilds{};
    prometheus::Gauge* pings{};
    std::map<std::string, prometheus::Gauge*> parts{};
  };
  std::map<std::string, Shown> shown;
  std::unique_ptr<prometheus::Exposer> exposer;
};

Metrics::Metrics(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Metrics::~Metrics() = default;

Result<std::unique_ptr<Metrics>> Metrics::serve(const std::string& address) {
  auto parts = std::make_unique<Parts>();
  if (!address.empty()) {
    try {
      constexpr std::size_t kThreads = 1;
      parts->exposer = std::make_unique<prometheus::Exposer>(address, kThreads);
      parts->exposer->RegisterCollectable(parts->registry);
    } catch (const std::exception& problem) {
      return refused("serve metrics at " + address + ": " + problem.what());
    }
  }
  return std::unique_ptr<Metrics>(new Metrics(std::move(parts)));
}

void Metrics::count(const Incident& incident) {
  parts_->incidents
      .Add({{"unit", incident.unit},
            {"cause", incident.cause},
            {"outcome", std::string(name_of(incident.outcome))}})
      .Increment();
  const std::uint64_t began = incident.injected_ns != 0 ? incident.injected_ns : incident.fault_ns;
  if (began != 0) {
    parts_->detection.Add({{"unit", incident.unit}}, kSeconds)
        .Observe(seconds(began, incident.seen_ns));
  }
  if (incident.outcome == Outcome::repaired) {
    parts_->repair.Add({{"unit", incident.unit}}, kSeconds)
        .Observe(seconds(incident.seen_ns, incident.repaired_ns));
  }
}

void Metrics::show(const UnitInfo& info, const UnitStatus& status) {
  Parts::Shown& shown = parts_->shown[info.name];
  if (shown.up == nullptr) {
    const prometheus::Labels unit{{"unit", info.name}};
    const auto kind = [&](const char* name) {
      return &parts_->repairs.Add({{"unit", info.name}, {"kind", name}});
    };
    shown.up = &parts_->up.Add(unit);
    if (info.place.role == SetRole::backup) shown.member = &parts_->member.Add(unit);
    shown.microreboots = kind("microreboot");
    shown.rebuilds = kind("rebuild");
    shown.pings = kind("ping");
  }
  const bool well = status.phase == Phase::watching && !asks_for_repair(status.health);
  shown.up->Set(status.phase == Phase::given_up ? -1 : well ? 1 : 0);
  if (shown.member != nullptr) shown.member->Set(status.member ? 1 : 0);
  shown.microreboots->Set(static_cast<double>(status.microreboots));
  shown.rebuilds->Set(static_cast<double>(status.rebuilds));
  shown.pings->Set(static_cast<double>(status.pings));
  for (const auto& [part, count] : status.parts) {
    prometheus::Gauge*& gauge = shown.parts[part];
    if (gauge == nullptr) gauge = &parts_->parts.Add({{"unit", info.name}, {"part", part}});
    gauge->Set(static_cast<double>(count));
  }
}

void Metrics::forget(const std::string& unit) {
  const auto found = parts_->shown.find(unit);
  if (found == parts_->shown.end()) return;
  parts_->up.Remove(found->second.up);
  if (found->second.member != nullptr) parts_->member.Remove(found->second.member);
  for (prometheus::Gauge* const each :
       {found->second.microreboots, found->second.rebuilds, found->second.pings}) {
    parts_->repairs.Remove(each);
  }
  for (const auto& [part, gauge] : found->second.parts)
    parts_->parts.Remove(gauge);
  parts_->shown.erase(found);
}

void Metrics::looked(std::uint64_t looks, std::uint64_t scrubbed_pages) {
  parts_->looks.Set(static_cast<double>(looks));
  parts_->scrubbed.Set(static_cast<double>(scrubbed_pages));
}

}  // namespace ppvmm::root::daemon
