// ppvmm-domlook: looks at domains from dom0, asking nobody. `usage`: what each has used so far,
// processor time to the nanosecond (xl rounds it to tenths of a second) and pages. `find`: where in
// a unikernel's memory an eight-byte value lies; the address of a class's virtual table finds the
// objects of that class, for faults that shall hit just them.
#include <CLI/CLI.hpp>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

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
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto xen = Xen::open();
  if (!xen) return complain(xen.error());
  return using_up->parsed() ? usage(*xen) : find(*xen, options);
}
