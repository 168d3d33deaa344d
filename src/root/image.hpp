/// A unikernel image as root keeps it: the pristine bytes, their hash, where they go in memory, and
/// where a reborn one is entered.
///
/// Format: ELF-64 (System V gABI, x86-64) with Xen's notes (public/elfnote.h) and ours (abi/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "abi/image_note.hpp"
#include "root/failure.hpp"
#include "root/symbols.hpp"

namespace ppvmm::root {

/// A loadable piece. Its file bytes are a view into the image.
struct Segment {
  std::uint64_t address{};              ///< Where it starts, as the unikernel sees it.
  std::uint64_t memory_size{};          ///< Bytes in memory; what the file lacks is zero.
  std::span<const std::byte> contents;  ///< Bytes in the file.
};

class Image {
 public:
  /// Reads and checks a file. A file that is not such an image is refused with the reason. The
  /// symbols of a stripped one come from "<path>.debug" beside it, where there is one.
  [[nodiscard]] static Result<Image> load(const std::string& path);
  /// The same for bytes that are in memory already.
  [[nodiscard]] static Result<Image> parse(std::vector<std::byte> bytes, std::string path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return *bytes_; }
  /// XXH3-64 of the whole file: names the image, and notices a changed one.
  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  [[nodiscard]] const std::vector<Segment>& segments() const { return segments_; }
  /// Address that guest frame 0 is mapped at (XEN_ELFNOTE_VIRT_BASE).
  [[nodiscard]] std::uint64_t virtual_base() const { return virtual_base_; }
  /// Our own note: vitals, re-entry point, what a microreboot does with each range. Checked: every
  /// address in it lies inside the image.
  [[nodiscard]] const abi::ImageNote& note() const { return note_; }
  /// Pages from the virtual base to the end of the image.
  [[nodiscard]] std::size_t pages() const { return pages_; }
  /// What the file holds for [address, address + out.size()): contents of segments, zero elsewhere.
  void copy_pristine(std::uint64_t address, std::span<std::byte> out) const;
  [[nodiscard]] const SymbolTable& symbols() const { return symbols_; }

 private:
  Image() = default;

  std::string path_;
  std::shared_ptr<const std::vector<std::byte>> bytes_;  // shared, so that views survive a move
  std::uint64_t hash_{};
  std::uint64_t virtual_base_{};
  abi::ImageNote note_{};
  std::size_t pages_{};
  std::vector<Segment> segments_;
  SymbolTable symbols_;
};

}  // namespace ppvmm::root
