// Which units there are: what the registry names is adopted, what it names no more is let go.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "root/daemon/daemon.hpp"

namespace ppvmm::root::daemon {

void Daemon::registry_changed() {
  const std::vector<Record> records = registry_.all();
  std::vector<UnitId> gone;
  for (const auto& [id, handle] : handles_) {
    if (std::ranges::find(records, handle->record().name, &Record::name) == records.end()) {
      gone.push_back(id);
    }
  }
  for (const UnitId id : gone)
    release(id);
  for (const Record& record : records) {
    if (!supervisor_.find(record.name)) adopt(record);
  }
}

Result<std::shared_ptr<const Image>> Daemon::image_for(const Record& record) {
  if (auto known = images_[record.image_hash].lock()) return known;
  // The file may have been replaced since; what runs was made from a copy that root keeps.
  const std::string folder = state_dir_ + "/images";
  const std::string copy = fmt::format("{}/{:016x}", folder, record.image_hash);
  auto image = Image::load(record.image_path);
  if (!image || image->hash() != record.image_hash) image = Image::load(copy);
  if (!image) return std::unexpected(image.error());
  if (image->hash() != record.image_hash) {
    return refused(record.image_path + " is not the file it was built from, nor is " + copy);
  }
  std::error_code code;
  if (!std::filesystem::exists(copy, code)) {
    std::filesystem::create_directories(folder, code);
    std::filesystem::copy_file(record.image_path, copy, code);
    if (code) say("keep a copy of " + record.image_path + ": " + code.message());
  }
  auto shared = std::make_shared<const Image>(std::move(*image));
  images_[record.image_hash] = shared;
  return shared;
}

void Daemon::adopt(const Record& record) {
  const auto refuse = [&](const std::string& why) {
    if (std::exchange(refused_[record.name], why) != why) {
      say(record.name + " is not supervised: " + why);
    }
  };
  const auto image = image_for(record);
  if (!image) {
    refuse(image.error().text());
    return;
  }
  auto handle = std::make_unique<Handle>(xen_, events_, record, *image, state_dir_);
  const auto facts = xen_.domain(record.built.domid);
  const auto held = handle->take_hold();
  if (!held && facts && !facts->dying && !record.rebuilding) {
    // Somebody else's by now: to "repair" it would be to destroy it.
    refuse(fmt::format("domain {} is not the one that was started: {}", record.built.domid,
                       held.error().text()));
    return;
  }
  refused_.erase(record.name);
  const bool lone = record.spec.xenstore && record.place.role == SetRole::none;
  UnitInfo info{.name = record.name,
                .domid = record.built.domid,
                .xenstore = record.spec.xenstore,
                .place = record.place,
                .rebuilding = record.rebuilding,
                .policy = config_.policy_for(record.name, lone),
                .driver_domain = record.spec.bus || record.adopted,
                .bus = record.spec.bus};
  if (record.adopted) info.policy.limits.rebuilds = 0;
  const auto unit = config_.units.find(record.name);
  if (unit != config_.units.end() && unit->second.after) {
    info.after = *unit->second.after;
  } else if (!record.spec.xenstore && record.place.role == SetRole::none) {
    for (const Record& each : registry_.all()) {
      if (each.spec.xenstore) info.after.push_back(each.name);
    }
  }
  if (info.driver_domain) handle->order_words(info.policy.words);
  if (info.bus) handle->errands().stand_by();
  const UnitId id = supervisor_.add(std::move(info), now_ns());
  handles_.emplace(id, std::move(handle));
  say(fmt::format("supervising {} (domain {}, policy {})", record.name, record.built.domid,
                  supervisor_.info(id).policy.name));
}

void Daemon::release(UnitId id) {
  const std::string name = handles_.at(id)->record().name;
  supervisor_.remove(id);
  handles_.erase(id);
  metrics_->forget(name);
  say("let go of " + name);
}

}  // namespace ppvmm::root::daemon
