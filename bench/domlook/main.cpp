// ppvmm-domlook: looks at domains from dom0, asking nobody. `usage`: what each has used so far,
// processor time to the nanosecond (xl rounds it to tenths of a second) and pages. `find`: where in
// a unikernel's memory an eight-byte value lies; the address of a class's virtual table finds the
// objects of that class, for faults that shall hit just them. `poke`: changes registers of a device
// behind its driver's back, and says when.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "root/guest_memory.hpp"
#include "root/image.hpp"
#include "root/xen.hpp"

namespace {

using namespace ppvmm::root;
using nlohmann::ordered_json;

struct Options {
  DomId domid{};
  std::string image;
  std::uint64_t value{};
  std::uint64_t bar{};
  std::vector<std::array<std::uint32_t, 3>> changes;  ///< Offset, bits to keep, bits to set.
  std::uint32_t settle_ms{};                          ///< Between being ready and changing them.
};

int complain(const Failure& failure) {
  std::cerr << "ppvmm-domlook: " << failure.text() << '\n';
  return 1;
}

int usage(const Xen& xen) {
  ordered_json domains = ordered_json::array();
  for (const auto& each : xen.domains()) {
    domains.push_back({{"domid", each.domid}, {"cpu_ns", each.cpu_ns}, {"pages", each.pages}});
  }
  std::cout << ordered_json{{"dom0_ns", now_ns()}, {"domains", domains}}.dump() << '\n';
  return 0;
}

int find(const Xen& xen, const Options& options) {
  const auto image = Image::load(options.image);
  if (!image) return complain(image.error());
  const auto facts = xen.domain(options.domid);
  if (!facts) return complain({"there is no domain " + std::to_string(options.domid), 0});
  auto memory = GuestMemory::open(xen, options.domid);
  if (!memory) return complain(memory.error());
  // The image's own data, and the heap behind it.
  const Stretch all{image->virtual_base(), facts->pages * kPageSize};
  ordered_json found = ordered_json::array();
  memory->visit(memory->mapped(all, true),
                [&](std::uint64_t address, std::span<const std::byte> bytes) {
                  for (std::size_t at = 0; at + sizeof options.value <= bytes.size(); at += 8) {
                    std::uint64_t word = 0;
                    std::memcpy(&word, bytes.data() + at, sizeof word);
                    if (word == options.value) found.push_back(address + at);
                  }
                });
  std::cout << ordered_json{{"found", found}}.dump() << '\n';
  return 0;
}

/// Dom0's Linux must let programs map devices that somebody else drives (iomem=relaxed).
int poke(const Options& options) {
  constexpr std::size_t kWindow = 1U << 17U;  // the 82574L's registers (datasheet 10.1.1)
  const int memory = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
  void* const window = memory < 0 ? MAP_FAILED
                                  : mmap(nullptr, kWindow, PROT_READ | PROT_WRITE, MAP_SHARED,
                                         memory, static_cast<off_t>(options.bar));
  if (window == MAP_FAILED) return complain(failed("map the device").error());
  ordered_json done = ordered_json::array();
  if (options.settle_ms != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(options.settle_ms));
  }
  const std::uint64_t now = now_ns();
  for (const auto& [offset, keep, set] : options.changes) {
    if (offset % 4 != 0 || offset >= kWindow) return complain({"no register lies there", 0});
    auto* const place =
        reinterpret_cast<volatile std::uint32_t*>(static_cast<char*>(window) + offset);
    const std::uint32_t before = *place;
    *place = (before & keep) | set;
    done.push_back({{"offset", offset}, {"before", before}, {"written", (before & keep) | set}});
  }
  std::cout << ordered_json{{"dom0_ns", now}, {"registers", done}}.dump() << '\n';
  munmap(window, kWindow);
  close(memory);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Looks at domains from dom0");
  app.require_subcommand(1);
  Options options;
  auto* using_up = app.add_subcommand("usage", "processor time and pages of every domain");
  auto* finding = app.add_subcommand("find", "where a value lies in a unikernel's memory");
  finding->add_option("domid", options.domid, "the unikernel's domain")->required();
  finding->add_option("image", options.image, "image file that it was built from")->required();
  finding->add_option("value", options.value, "eight bytes, as a number")->required();
  auto* poking = app.add_subcommand("poke", "change registers of a device");
  poking->add_option("bar", options.bar, "where its registers are in the host's memory")
      ->required();
  poking
      ->add_option("changes", options.changes,
                   "three numbers for each register: offset, bits to keep, bits to set")
      ->required();
  poking->add_option("--settle-ms", options.settle_ms,
                     "wait so long when all is ready (as ppvmm inject does)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (poking->parsed()) return poke(options);
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  return using_up->parsed() ? usage(*xen) : find(*xen, options);
}
