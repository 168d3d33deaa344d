/// The tree that the load works on: which paths exist and what each must hold.
///
///   <base>/n/<directory>/<leaf>   shared, read-only while measuring; kFanOut leaves a directory
///   <base>/c<client>/<name>       one client's own nodes: writes, transactions, watches
///
/// Every value is a function of its path's numbers, so each answer can be checked without
/// remembering what was stored.
#pragma once

#include <cstdint>
#include <string>

namespace ppvmm::xsload {

class Tree {
 public:
  /// Leaves in one directory. 100 000 leaves then make 1000 directories, whose names still fit in
  /// one DIRECTORY answer (XENSTORE_PAYLOAD_MAX).
  static constexpr std::uint32_t kFanOut = 100;

  /// `base`: absolute, or relative to the client's own domain. `value_size`: bytes in each value.
  Tree(std::string base, std::uint32_t nodes, std::uint32_t value_size)
      : base_(std::move(base)), nodes_(nodes), value_size_(value_size) {}

  [[nodiscard]] const std::string& base() const { return base_; }
  [[nodiscard]] std::uint32_t nodes() const { return nodes_; }
  [[nodiscard]] std::uint32_t directories() const { return (nodes_ + kFanOut - 1) / kFanOut; }

  /// Path and value of shared leaf `index` (below nodes()).
  [[nodiscard]] std::string leaf(std::uint32_t index) const;
  [[nodiscard]] std::string leaf_value(std::uint32_t index) const { return value(index, 0); }
  /// Path of shared directory `index` (below directories()), and how many leaves it has.
  [[nodiscard]] std::string directory(std::uint32_t index) const;
  [[nodiscard]] std::uint32_t leaves_in(std::uint32_t directory) const;

  /// A node that belongs to one client.
  [[nodiscard]] std::string own(std::uint32_t client, const std::string& name) const;
  /// What a client stores the `version`th time in its node number `node`.
  [[nodiscard]] std::string value(std::uint32_t node, std::uint64_t version) const;

 private:
  std::string base_;
  std::uint32_t nodes_;
  std::uint32_t value_size_;
};

}  // namespace ppvmm::xsload
