/// Values that say which write they come from and can be told from garbage, byte by byte.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ppvmm::xshistory {

/// "xshistory.<client>.<number>." and a filling that follows from both, `size` bytes or a few more.
[[nodiscard]] std::string make_value(std::uint32_t client, std::uint64_t number, std::size_t size);

/// "<client>.<number>" of a value that is whole; nothing when any byte of it is another.
[[nodiscard]] std::optional<std::string> value_name(std::string_view bytes);

}  // namespace ppvmm::xshistory
