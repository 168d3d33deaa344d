#include "root/daemon/history_file.hpp"

#include <filesystem>

#include "root/daemon/history_json.hpp"

namespace ppvmm::root::daemon {
namespace {

constexpr std::size_t kLargest = 8U << 20U;

}  // namespace

Result<void> HistoryFile::load(History& history) {
  std::ifstream file(path_);
  std::string line;
  while (std::getline(file, line)) {
    const auto data = nlohmann::ordered_json::parse(line, nullptr, false);
    if (data.is_discarded()) continue;
    if (auto incident = incident_from_json(data)) history.restore(std::move(*incident));
  }
  static_cast<void>(history.take_changed());
  return rewrite(history);
}

Result<void> HistoryFile::append(const History& history, std::span<const std::uint64_t> ids) {
  for (const std::uint64_t id : ids) {
    const Incident* const incident = history.find(id);
    if (incident == nullptr) continue;
    const std::string line = to_json(*incident).dump() + "\n";
    file_ << line;
    bytes_ += line.size();
  }
  file_.flush();
  if (!file_) return failed("write " + path_);
  return bytes_ > kLargest ? rewrite(history) : Result<void>{};
}

Result<void> HistoryFile::rewrite(const History& history) {
  const std::string fresh = path_ + ".new";
  file_.close();
  file_.open(fresh, std::ios::trunc);
  bytes_ = 0;
  for (const Incident& incident : history.incidents()) {
    const std::string line = to_json(incident).dump() + "\n";
    file_ << line;
    bytes_ += line.size();
  }
  file_.flush();
  if (!file_) return failed("write " + fresh);
  std::error_code code;
  std::filesystem::rename(fresh, path_, code);
  if (code) return std::unexpected(Failure{"put " + fresh + " in place", code.value()});
  return {};
}

}  // namespace ppvmm::root::daemon
