/// Node paths: what is valid, and how to take them apart. Spec: xenstore.txt, "Xenstore protocol
/// specification".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/types.hpp"

namespace ppvmm::store {

/// Only the characters that names may have: alphanumerics and -/_@.
[[nodiscard]] bool has_valid_characters(std::string_view path);

/// An absolute path ("/", "/a/b") or special name ("@releaseDomain") of valid characters, without
/// empty components and not longer than XENSTORE_ABS_PATH_MAX.
[[nodiscard]] bool is_canonical(std::string_view path);

/// Where the last component of `path` begins, if that is a name of valid characters; 0 if not, and
/// for "/" and special names. Says nothing about what is before it.
[[nodiscard]] std::size_t name_start(std::string_view path);

/// "/local/domain/<domid>".
[[nodiscard]] std::string domain_path(DomId domid);

/// Bytes of a path that count against the quota path-max: what follows "/local/domain/<id>/", so
/// that a relative path has the same limit in every domain.
[[nodiscard]] std::size_t counted_length(std::string_view path);

/// The parent's path: "/" for "/a". Of "/" and special names: themselves.
[[nodiscard]] std::string_view parent_path(std::string_view path);
/// The last component: "b" for "/a/b".
[[nodiscard]] std::string_view base_name(std::string_view path);
/// Whether `path` is `ancestor` or lies below it.
[[nodiscard]] bool is_at_or_below(std::string_view path, std::string_view ancestor);

/// Walks a canonical path's components: "/", "a", "b" for "/a/b"; "@releaseDomain" for itself. The
/// root is a component, as special nodes are its siblings.
class Components {
 public:
  explicit Components(std::string_view path) : path_(path) {}

  /// The next component, or empty at the end.
  [[nodiscard]] std::string_view next() {
    if (at_ == path_.size()) return {};
    if (at_ == 0 && path_[0] == '/') {
      at_ = 1;
      return path_.substr(0, 1);
    }
    const std::size_t start = at_ > 1 ? at_ + 1 : at_;  // behind the slash, unless behind "/"
    const std::size_t slash = path_.find('/', start);
    at_ = slash == std::string_view::npos ? path_.size() : slash;
    return path_.substr(start, at_ - start);
  }
  /// Bytes of the path up to the end of the component given last: the path of that node.
  [[nodiscard]] std::size_t consumed() const { return at_; }
  [[nodiscard]] bool done() const { return at_ == path_.size(); }

 private:
  std::string_view path_;
  std::size_t at_{};
};

/// An unsigned decimal number that fills `text`; nothing for anything else or above `max`.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max);
/// A domain id in decimal, 0 to 65535.
[[nodiscard]] std::optional<DomId> parse_domid(std::string_view text);

}  // namespace ppvmm::store
