// ppvmm-xsfault: faults from outside for a daemon of dom0's, as `ppvmm inject` is for unikernels.
// Its work is counted by its system calls that read and write (proc(5), /proc/pid/io), its memory
// is reached through /proc/pid/mem.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using nlohmann::ordered_json;

struct Options {
  int pid{};
  std::uint32_t length_ms{1000};
  std::uint64_t after{};
  std::uint32_t limit_ms{60'000};
  bool kill{};
  std::uint32_t flips{};
  std::uint64_t seed{1};
};

constexpr std::uint64_t kNsPerMs = 1'000'000;

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

std::string proc(const Options& options, const char* file) {
  return "/proc/" + std::to_string(options.pid) + "/" + file;
}

std::uint64_t calls(const Options& options) {
  std::ifstream file(proc(options, "io"));
  std::string name;
  std::uint64_t value = 0;
  std::uint64_t sum = 0;
  while (file >> name >> value) {
    if (name == "syscr:" || name == "syscw:") sum += value;
  }
  return sum;
}

void rate(const Options& options) {
  const std::uint64_t end = now_ns() + options.length_ms * kNsPerMs;
  const std::uint64_t first = calls(options);
  ordered_json samples = ordered_json::array();
  samples.push_back({now_ns(), 0});
  while (now_ns() < end) {
    const std::uint64_t count = calls(options) - first;
    if (count != samples.back()[1]) samples.push_back({now_ns(), count});
    std::this_thread::sleep_for(std::chrono::microseconds(1000));
  }
  std::cout << ordered_json{{"pid", options.pid}, {"samples", samples}}.dump() << '\n';
}

struct Area {
  std::uint64_t begin{};
  std::uint64_t end{};
};

/// Private, writable memory: heap and anonymous mappings. That is where a store keeps its tree.
std::vector<Area> heap(const Options& options) {
  std::ifstream maps(proc(options, "maps"));
  std::string line;
  std::vector<Area> areas;
  while (std::getline(maps, line)) {
    Area area;
    char rights[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &area.begin, &area.end, rights) != 3) continue;
    const bool anonymous = line.find('/') == std::string::npos;
    if (std::string(rights) == "rw-p" && anonymous && line.find("[stack]") == std::string::npos) {
      areas.push_back(area);
    }
  }
  return areas;
}

/// Flips one bit of a byte that is not zero: most of a heap is empty.
ordered_json flip(const Options& options, std::mt19937_64& random) {
  constexpr int kTries = 100'000;
  const auto areas = heap(options);
  std::uint64_t total = 0;
  for (const Area& area : areas)
    total += area.end - area.begin;
  if (total == 0) throw std::runtime_error("the process has no heap");
  const int memory = ::open(proc(options, "mem").c_str(), O_RDWR | O_CLOEXEC);
  if (memory < 0) throw std::runtime_error("the process' memory cannot be opened");
  for (int i = 0; i < kTries; ++i) {
    std::uint64_t at = random() % total;
    for (const Area& area : areas) {
      if (at >= area.end - area.begin) {
        at -= area.end - area.begin;
        continue;
      }
      const auto place = static_cast<off_t>(area.begin + at);
      unsigned char byte = 0;
      if (::pread(memory, &byte, 1, place) != 1 || byte == 0) break;
      const auto flipped = static_cast<unsigned char>(byte ^ 1U << random() % 8);
      if (::pwrite(memory, &flipped, 1, place) != 1) break;
      ::close(memory);
      return {{"address", area.begin + at}, {"before", byte}, {"after", flipped}};
    }
  }
  ::close(memory);
  throw std::runtime_error("nothing to flip was found");
}

void hit(const Options& options) {
  const std::uint64_t end = now_ns() + options.limit_ms * kNsPerMs;
  const std::uint64_t first = calls(options);
  while (calls(options) - first < options.after) {
    if (now_ns() > end) throw std::runtime_error("it did not do so much work in time");
    std::this_thread::sleep_for(std::chrono::microseconds(1000));
  }
  ordered_json done{{"pid", options.pid}};
  ordered_json flips = ordered_json::array();
  std::mt19937_64 random(options.seed);
  for (std::uint32_t i = 0; i < options.flips; ++i) {
    // It may die of the first ones before it has got them all.
    if (i != 0 && ::kill(options.pid, 0) != 0) break;
    try {
      flips.push_back(flip(options, random));
    } catch (const std::runtime_error&) {
      if (i == 0) throw;
      break;
    }
  }
  if (options.kill && ::kill(options.pid, SIGKILL) != 0) {
    throw std::runtime_error("the process cannot be killed");
  }
  done["dom0_ns"] = now_ns();
  done["killed"] = options.kill;
  done["flips"] = flips;
  std::cout << done.dump() << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Faults from outside for a daemon. Exit code: 0 done, 1 not done, over 100 usage."};
  app.require_subcommand(1);
  Options options;
  auto* sampling = app.add_subcommand("rate", "Sample its reading and writing system calls");
  sampling->add_option("pid", options.pid)->required();
  sampling->add_option("--ms", options.length_ms, "How long")->capture_default_str();
  auto* hitting = app.add_subcommand("hit", "Do a fault");
  hitting->add_option("pid", options.pid)->required();
  hitting->add_option("--after", options.after, "Wait for so many calls first");
  hitting->add_option("--limit-ms", options.limit_ms, "Longest wait")->capture_default_str();
  hitting->add_flag("--kill", options.kill, "SIGKILL");
  hitting->add_option("--flip", options.flips, "Bits to flip in its heap");
  hitting->add_option("--seed", options.seed)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    if (sampling->parsed()) {
      rate(options);
    } else {
      hit(options);
    }
  } catch (const std::exception& failure) {
    std::cerr << "ppvmm-xsfault: " << failure.what() << '\n';
    return 1;
  }
  return 0;
}
