#include "store/node.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

#include "store/digest.hpp"

namespace ppvmm::store {
namespace {

// What the allocators under us add to a block, and the step in which block sizes grow. A value
// that changes its length within a step stays where it is.
constexpr std::size_t kBlockOverhead = 16;
constexpr std::size_t kBlockStep = 16;

std::size_t block_size(std::size_t name_length, std::size_t value_length) {
  const std::size_t size = sizeof(Node) + name_length + value_length;
  return (size + kBlockStep - 1) / kBlockStep * kBlockStep;
}

template <class Word>
Word load(const char* from) {
  Word word;  // NOLINT: filled by the copy
  std::memcpy(&word, from, sizeof word);
  return word;
}

}  // namespace

std::uint64_t name_prefix(std::string_view name) {
  static_assert(std::endian::native == std::endian::little);
  // Two loads that overlap do for any length what a copy of that length would: this is on the way
  // of every look-up, once per name.
  const std::size_t size = name.size();
  const char* const text = name.data();
  const auto both_ends = [&]<class Word>(Word) -> std::uint64_t {
    const std::size_t shift = 8 * (size - sizeof(Word));
    return load<Word>(text) | std::uint64_t{load<Word>(text + size - sizeof(Word))} << shift;
  };
  if (size >= 8) return __builtin_bswap64(load<std::uint64_t>(text));
  if (size >= 4) return __builtin_bswap64(both_ends(std::uint32_t{}));
  if (size >= 2) return __builtin_bswap64(both_ends(std::uint16_t{}));
  return size == 0 ? 0 : std::uint64_t{load<std::uint8_t>(text)} << 56;
}

std::uint64_t Node::compute_checksum() const {
  // The lengths go into the seed: the same bytes split otherwise are another node.
  const std::uint64_t lengths = std::uint64_t{name_length} << 32 | value_length;
  const std::uint64_t tag = permissions ? permissions->tag : 0;  // only the anchor has none
  return digest(text(), std::size_t{name_length} + value_length, tag ^ lengths << 16);
}

std::size_t NodeHeap::footprint(std::size_t name_length, std::size_t value_length) {
  return block_size(name_length, value_length) + kBlockOverhead;
}

Node* NodeHeap::allocate(std::size_t name_length, std::size_t value_length) {
  pulse_.step();
  bytes_ += footprint(name_length, value_length);
  void* block = ::operator new(block_size(name_length, value_length));
  Node* node = new (block) Node;
  node->name_length = static_cast<std::uint16_t>(name_length);
  node->value_length = static_cast<std::uint32_t>(value_length);
  return node;
}

void NodeHeap::free(Node* node) {
  pulse_.step();
  bytes_ -= footprint(node->name_length, node->value_length);
  node->~Node();
  ::operator delete(node);
}

Node* NodeHeap::make(std::string_view name, std::string_view value, PermissionRef permissions) {
  Node* node = allocate(name.size(), value.size());
  std::copy(name.begin(), name.end(), node->text());
  std::copy(value.begin(), value.end(), node->text() + name.size());
  node->prefix = name_prefix(name);
  node->listing = static_cast<std::uint32_t>(name.size() + 1);
  node->permissions = std::move(permissions);
  node->checksum = node->compute_checksum();
  return node;
}

Node& NodeHeap::unshare(Node*& slot) {
  Node* const shared = slot;
  Node* const copy = allocate(shared->name_length, shared->value_length);
  *copy = *shared;
  std::memcpy(copy->text(), shared->text(),
              std::size_t{shared->name_length} + shared->value_length);
  copy->references = 1;
  retain(copy->left);
  retain(copy->right);
  retain(copy->children);
  --shared->references;
  slot = copy;
  return *copy;
}

void NodeHeap::set_value(Node*& slot, std::string_view value) {
  Node* node = slot;
  if (block_size(node->name_length, value.size()) ==
      block_size(node->name_length, node->value_length)) {
    node->value_length = static_cast<std::uint32_t>(value.size());
  } else {
    Node* const grown = allocate(node->name_length, value.size());
    const auto length = grown->value_length;
    *grown = *node;
    grown->value_length = length;
    std::memcpy(grown->text(), node->text(), node->name_length);
    free(node);
    slot = node = grown;
  }
  std::copy(value.begin(), value.end(), node->text() + node->name_length);
  node->checksum = node->compute_checksum();
}

void NodeHeap::set_permissions(Node& node, PermissionRef permissions) {
  node.permissions = std::move(permissions);
  node.checksum = node.compute_checksum();
}

void NodeHeap::release(Node* node) {
  // Nodes whose last reference went wait in a list, so that neither depth nor width of what is
  // freed costs stack or memory. The list is threaded through `prefix`, which the dying do not
  // need.
  Node* doomed = nullptr;
  const auto drop = [&doomed](Node* candidate) {
    if (candidate == nullptr || --candidate->references != 0) return;
    candidate->prefix = reinterpret_cast<std::uintptr_t>(doomed);
    doomed = candidate;
  };
  drop(node);
  while (doomed != nullptr) {
    Node* const dying = doomed;
    doomed = reinterpret_cast<Node*>(dying->prefix);
    drop(dying->left);
    drop(dying->right);
    drop(dying->children);
    free(dying);
  }
}

}  // namespace ppvmm::store
