#include "host/state_file.hpp"

#include <spdlog/spdlog.h>

#include <fstream>
#include <stdexcept>
#include <vector>

namespace ppvmm::host {
namespace {

const char* reason(store::StreamError error) {
  using Error = store::StreamError;
  switch (error) {
    case Error::truncated:
      return "it ends within a record";
    case Error::bad_magic:
      return "it is not a XenStore migration stream";
    case Error::bad_version:
      return "its version is not known";
    case Error::bad_endianness:
      return "it was written on a machine of the other byte order";
    case Error::bad_record:
      return "a record contradicts itself";
    case Error::unknown_record:
      return "it has a record that may not be ignored and is not known";
    case Error::duplicate:
      return "a connection, transaction or node comes twice";
    case Error::dangling:
      return "a record refers to something that did not come before";
    case Error::no_end:
      return "it has no END record";
    case Error::over_quota:
      return "it needs more memory than allowed";
  }
  return "for an unknown reason";
}

}  // namespace

store::Machine read_state(const std::filesystem::path& path, const store::Options& options) {
  std::ifstream file{path, std::ios::binary};
  std::vector<std::byte> bytes(std::filesystem::file_size(path));
  if (!file.read(reinterpret_cast<char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()))) {
    throw std::runtime_error{"cannot read '" + path.native() + "'"};
  }
  auto machine = store::Machine::load(options, bytes);
  if (!machine) {
    throw std::runtime_error{"'" + path.native() + "' is refused: " + reason(machine.error())};
  }
  return std::move(*machine);
}

void dump_state(const store::Machine& machine, const std::filesystem::path& path) {
  if (path.empty()) {
    spdlog::warn("SIGUSR1 asks for a dump, but no --dump FILE was given");
    return;
  }
  std::filesystem::path draft{path};
  draft += ".new";
  const std::vector<std::byte> bytes = machine.dump();
  std::ofstream file{draft, std::ios::binary};
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(draft, path, error);
  if (!file || error) {
    spdlog::error("the state could not be written to {}", path.native());
    return;
  }
  spdlog::info("state written to {}: {} bytes", path.native(), bytes.size());
}

}  // namespace ppvmm::host
