#include "root/registry.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

namespace ppvmm::root {

NLOHMANN_JSON_SERIALIZE_ENUM(SetRole, {{SetRole::none, "none"},
                                       {SetRole::primary, "primary"},
                                       {SetRole::backup, "backup"}})

namespace {

using nlohmann::json;

json to_json(const Record& record) {
  return {{"name", record.name},
          {"image_path", record.image_path},
          {"image_hash", record.image_hash},
          {"memory_mib", record.spec.memory_mib},
          {"cmdline", record.spec.cmdline},
          {"xenstore", record.spec.xenstore},
          {"bus", record.spec.bus},
          {"pci", record.spec.pci},
          {"domid", record.built.domid},
          {"console_port", record.built.console_port},
          {"console_frame", record.built.console_frame},
          {"start_info", record.built.start_info},
          {"image_frames", record.built.image_frames},
          {"build_ns", record.built.build_ns},
          {"store_port", record.built.store_port},
          {"store_frame", record.built.store_frame},
          {"rebuilds", record.rebuilds},
          {"role", record.place.role},
          {"set", record.place.set},
          {"set_index", record.place.index},
          {"attached", record.place.attached},
          {"console", record.console},
          {"rebuilding", record.rebuilding},
          {"adopted", record.adopted},
          {"notices_seen", record.notices_seen}};
}

Record from_json(const json& data) {
  Record record;
  data.at("name").get_to(record.name);
  data.at("image_path").get_to(record.image_path);
  data.at("image_hash").get_to(record.image_hash);
  data.at("memory_mib").get_to(record.spec.memory_mib);
  data.at("cmdline").get_to(record.spec.cmdline);
  data.at("xenstore").get_to(record.spec.xenstore);
  // Not in the records of older roots, which may have started what runs.
  record.spec.bus = data.value("bus", false);
  record.spec.pci = data.value("pci", record.spec.pci);
  data.at("domid").get_to(record.built.domid);
  data.at("console_port").get_to(record.built.console_port);
  data.at("console_frame").get_to(record.built.console_frame);
  data.at("start_info").get_to(record.built.start_info);
  data.at("image_frames").get_to(record.built.image_frames);
  data.at("build_ns").get_to(record.built.build_ns);
  record.built.store_port = data.value("store_port", record.built.store_port);
  record.built.store_frame = data.value("store_frame", record.built.store_frame);
  data.at("rebuilds").get_to(record.rebuilds);
  data.at("role").get_to(record.place.role);
  data.at("set").get_to(record.place.set);
  data.at("set_index").get_to(record.place.index);
  data.at("attached").get_to(record.place.attached);
  data.at("console").get_to(record.console);
  data.at("rebuilding").get_to(record.rebuilding);
  data.at("adopted").get_to(record.adopted);
  data.at("notices_seen").get_to(record.notices_seen);
  record.spec.domid = record.built.domid;
  return record;
}

}  // namespace

bool valid_name(const std::string& name) {
  constexpr std::size_t kLongest = 64;
  return !name.empty() && name.size() <= kLongest && name.front() != '.' &&
         std::ranges::all_of(name, [](char letter) {
           return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '-' ||
                  letter == '_' || letter == '.';
         });
}

DomainSpec spec_of_rebuild(const Record& record) {
  constexpr std::string_view kRebuilt = " rebuilt";  // src/uk/xenstore/main.cpp
  DomainSpec spec = record.spec;
  spec.domid = record.built.domid;
  if (record.place.role == SetRole::primary && !spec.cmdline.ends_with(kRebuilt)) {
    spec.cmdline += kRebuilt;
  }
  return spec;
}

std::string Registry::file_of(const std::string& name) const {
  return directory_ + "/" + name + ".json";
}

Result<void> Registry::save(const Record& record) const {
  if (!valid_name(record.name)) return refused("\"" + record.name + "\" is no usable name");
  std::error_code code;
  std::filesystem::create_directories(directory_, code);
  if (code) return std::unexpected(Failure{"make " + directory_, code.value()});
  const std::string fresh = file_of(record.name) + ".new";
  std::ofstream file(fresh, std::ios::trunc);
  file << to_json(record).dump(1) << '\n';
  file.close();
  if (!file) return failed("write " + fresh);
  std::filesystem::rename(fresh, file_of(record.name), code);
  if (code) return std::unexpected(Failure{"put " + fresh + " in place", code.value()});
  return {};
}

Result<Record> Registry::load(const std::string& name) const {
  if (!valid_name(name)) return refused("\"" + name + "\" is no usable name");
  std::ifstream file(file_of(name));
  if (!file) return refused("no unikernel named \"" + name + "\" was started here");
  try {
    return from_json(json::parse(file));
  } catch (const json::exception& problem) {
    return refused(file_of(name) + " is damaged: " + problem.what());
  }
}

std::vector<Record> Registry::all() const {
  std::vector<Record> records;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, code)) {
    if (entry.path().extension() != ".json") continue;
    if (auto record = load(entry.path().stem().string())) records.push_back(std::move(*record));
  }
  std::ranges::sort(records, {}, &Record::name);
  return records;
}

void Registry::remove(const std::string& name) const {
  std::error_code code;
  if (valid_name(name)) std::filesystem::remove(file_of(name), code);
}

}  // namespace ppvmm::root
