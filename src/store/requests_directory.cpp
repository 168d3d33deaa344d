// DIRECTORY and DIRECTORY_PART.
#include <algorithm>

#include "store/node_access.hpp"
#include "store/path.hpp"

namespace ppvmm::store {
namespace {

// Copies the listing from where the cursor starts until `out` is full.
void copy_listing(ChildCursor cursor, std::span<char> out) {
  while (const Node* child = cursor.get()) {
    const std::string_view rest =
        child->name().substr(std::min<std::size_t>(cursor.skipped(), child->name_length));
    const std::size_t size = std::min(rest.size(), out.size());
    std::ranges::copy(rest.substr(0, size), out.begin());
    out = out.subspan(size);
    if (out.empty()) break;
    out.front() = '\0';
    out = out.subspan(1);
    cursor.advance();
  }
}

// A listing is made of the children's names, so they are verified as a value that is read would be.
// `size` bytes from the cursor on are wanted.
bool names_intact(State& state, std::string_view path, ChildCursor cursor, std::size_t size) {
  const PermissionList* verified = nullptr;  // siblings mostly share one list
  for (std::size_t seen = 0; seen < size; cursor.advance()) {
    const Node* const child = cursor.get();
    if (child == nullptr) break;
    const PermissionList* const list = child->permissions.get();
    const bool same_list = verified != nullptr && list == verified;
    if (!(same_list ? child->own_bytes_intact() : child->intact())) {
      state.note_corruption(path);
      return false;
    }
    verified = list;
    seen += child->name_length + std::size_t{1} - cursor.skipped();
  }
  return true;
}

// How much of the listing from the cursor on fits into `room` bytes, in whole names.
std::size_t whole_names(ChildCursor cursor, std::size_t room) {
  std::size_t size = 0;
  while (const Node* child = cursor.get()) {
    const std::size_t next = child->name_length + std::size_t{1} - cursor.skipped();
    if (size + next > room) break;
    size += next;
    cursor.advance();
  }
  return size;
}

}  // namespace

Status do_directory(State& state, const Request& request) {
  const auto given = request.payload.only_string();
  if (!given) return std::unexpected(Error::inval);
  std::string buffer;
  const auto path = resolve(state, request, *given, buffer, false);
  if (!path) return std::unexpected(path.error());
  const auto found = open_node(state, request, *path, Access::read, Touch::children);
  if (!found) return std::unexpected(found.error());
  const std::size_t size = found->node->listing_bytes();
  if (size > kPayloadMax) return std::unexpected(Error::toobig);
  const ChildCursor first(found->node->children);
  if (!names_intact(state, *path, first, size)) return std::unexpected(Error::io);
  ++state.counters.reads;
  copy_listing(first, state.answer(request, size));
  return {};
}

// Answer: generation of the directory, NUL, names from byte `offset` of the listing on, and one
// more NUL after the last name of all.
Status do_directory_part(State& state, const Request& request) {
  const auto strings = request.payload.exactly<2>();
  if (!strings) return std::unexpected(Error::inval);
  std::string buffer;
  const auto path = resolve(state, request, (*strings)[0], buffer, false);
  if (!path) return std::unexpected(path.error());
  const auto offset = parse_number((*strings)[1], 0xFFFF'FFFF);
  if (!offset) return std::unexpected(Error::inval);
  const auto found = open_node(state, request, *path, Access::read, Touch::children);
  if (!found) return std::unexpected(found.error());
  const Node& node = *found->node;
  std::string generation = std::to_string(node.children_generation);
  generation += '\0';
  const ChildCursor cursor(node.children, *offset);
  const std::size_t names = whole_names(cursor, kPayloadMax - generation.size() - 1);
  if (!names_intact(state, *path, cursor, names)) return std::unexpected(Error::io);
  const bool complete = *offset + names >= node.listing_bytes();
  ++state.counters.reads;
  const std::span<char> answer =
      state.answer(request, generation.size() + names + (complete ? 1 : 0));
  std::ranges::copy(generation, answer.begin());
  copy_listing(cursor, answer.subspan(generation.size(), names));
  if (complete) answer.back() = '\0';
  return {};
}

}  // namespace ppvmm::store
