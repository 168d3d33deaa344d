#include "tree.hpp"

#include <algorithm>

namespace ppvmm::xsload {

std::string Tree::directory(std::uint32_t index) const {
  return base_ + "/n/" + std::to_string(index);
}

std::string Tree::leaf(std::uint32_t index) const {
  return directory(index / kFanOut) + '/' + std::to_string(index % kFanOut);
}

std::uint32_t Tree::leaves_in(std::uint32_t directory) const {
  return std::min(kFanOut, nodes_ - directory * kFanOut);
}

std::string Tree::own(std::uint32_t client, const std::string& name) const {
  return base_ + "/c" + std::to_string(client) + '/' + name;
}

std::string Tree::value(std::uint32_t node, std::uint64_t version) const {
  auto text = std::to_string(node) + ':' + std::to_string(version) + ':';
  text.resize(value_size_, static_cast<char>('a' + (node + version) % 26));
  return text;
}

}  // namespace ppvmm::xsload
