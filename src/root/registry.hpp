/// What root knows of a unikernel it started, kept in a file so that the next command, or a
/// restarted root, can adopt what runs. One JSON file per name under a directory that only root may
/// write; nothing in it comes from the unikernel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "root/builder.hpp"
#include "root/failure.hpp"

namespace ppvmm::root {

/// What a unikernel is in a set of replicas.
enum class SetRole : std::uint8_t { none, primary, backup };

/// Its place in the set that is named after the primary. Meaning: abi/xenstore_set.hpp.
struct SetPlace {
  SetRole role{};
  std::string set{};
  std::uint32_t index{};  ///< Of a backup, from 0.
  bool attached{true};    ///< A backup that the primary has been told to use.
};

struct Record {
  std::string name;
  std::string image_path;
  std::uint64_t image_hash{};
  DomainSpec spec;  ///< With `domid` set.
  BuiltDomain built;
  std::uint64_t rebuilds{};  ///< Times the domain was made anew under its id.
  SetPlace place{};
  bool console{};  ///< Root reads its console ring; nobody else may.
  /// A rebuild began and did not end: whatever has this domain id is half made, and ours.
  bool rebuilding{};
  /// Built by somebody else (xl): root can re-enter it in place, but not build it again with all
  /// that it had.
  bool adopted{};
  std::uint64_t notices_seen{};  ///< Number of the last notice that root has dealt with.
};

/// What to build when the unikernel is built anew. A primary of a set is told that it is not the
/// first: finding nothing it must not begin an empty store.
[[nodiscard]] DomainSpec spec_of_rebuild(const Record& record);

class Registry {
 public:
  /// The directory is made at the first save.
  explicit Registry(std::string directory) : directory_(std::move(directory)) {}

  /// Replaces the record of that name in one step: a reader sees the old or the new one.
  [[nodiscard]] Result<void> save(const Record& record) const;
  [[nodiscard]] Result<Record> load(const std::string& name) const;
  /// Every record that can be read, by name.
  [[nodiscard]] std::vector<Record> all() const;
  /// Forgets the name; an unknown one is no error.
  void remove(const std::string& name) const;

 private:
  [[nodiscard]] std::string file_of(const std::string& name) const;
  std::string directory_;
};

/// Names are file names too: letters, digits, '-', '_' and '.', not starting with '.', at most 64.
[[nodiscard]] bool valid_name(const std::string& name);

}  // namespace ppvmm::root
