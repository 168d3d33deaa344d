/// The C memory and string functions that the compiler and the standard headers call.
///
/// Copies of up to 32 bytes are a few overlapping loads and stores, longer ones go 16 or 64 bytes
/// at a time through SSE registers. That is close to the best on real processors for the sizes a
/// service copies, and, unlike `rep movsb`, fast under emulation too. This file is compiled so that
/// the compiler does not turn the loops back into calls of the functions they define.
#include <emmintrin.h>

#include <cstddef>
#include <cstdint>

namespace {

template <typename Word>
Word load(const void* from) {
  Word word;
  __builtin_memcpy(&word, from, sizeof(word));
  return word;
}
template <typename Word>
void store(void* to, Word word) {
  __builtin_memcpy(to, &word, sizeof(word));
}
__m128i load16(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i_u*>(from));
}
void store16(void* to, __m128i value) {
  _mm_storeu_si128(static_cast<__m128i_u*>(to), value);
}

/// 0..32 bytes, overlapping or not: everything is loaded before anything is stored.
void copy_short(unsigned char* to, const unsigned char* from, std::size_t count) {
  if (count >= 16) {
    const __m128i head = load16(from);
    const __m128i tail = load16(from + count - 16);
    store16(to, head);
    store16(to + count - 16, tail);
  } else if (count >= 8) {
    const auto head = load<std::uint64_t>(from);
    const auto tail = load<std::uint64_t>(from + count - 8);
    store(to, head);
    store(to + count - 8, tail);
  } else if (count >= 4) {
    const auto head = load<std::uint32_t>(from);
    const auto tail = load<std::uint32_t>(from + count - 4);
    store(to, head);
    store(to + count - 4, tail);
  } else if (count > 0) {
    const unsigned char head = from[0];
    const unsigned char middle = from[count / 2];
    const unsigned char tail = from[count - 1];
    to[0] = head;
    to[count / 2] = middle;
    to[count - 1] = tail;
  }
}

/// More than 32 bytes, ascending. Safe for overlap with to < from.
void copy_up(unsigned char* to, const unsigned char* from, std::size_t count) {
  const __m128i tail = load16(from + count - 16);
  unsigned char* const tail_to = to + count - 16;
  for (; count > 64; count -= 64, to += 64, from += 64) {
    const __m128i a = load16(from);
    const __m128i b = load16(from + 16);
    const __m128i c = load16(from + 32);
    const __m128i d = load16(from + 48);
    store16(to, a);
    store16(to + 16, b);
    store16(to + 32, c);
    store16(to + 48, d);
  }
  for (; count > 16; count -= 16, to += 16, from += 16)
    store16(to, load16(from));
  store16(tail_to, tail);
}

/// More than 32 bytes, descending. Safe for overlap with to > from.
void copy_down(unsigned char* to, const unsigned char* from, std::size_t count) {
  const __m128i head = load16(from);
  for (; count > 16; count -= 16)
    store16(to + count - 16, load16(from + count - 16));
  store16(to, head);
}

}  // namespace

extern "C" {

void* memcpy(void* to, const void* from, std::size_t count) {
  auto* const target = static_cast<unsigned char*>(to);
  const auto* const source = static_cast<const unsigned char*>(from);
  if (count <= 32) {
    copy_short(target, source, count);
  } else {
    copy_up(target, source, count);
  }
  return to;
}

void* memmove(void* to, const void* from, std::size_t count) {
  auto* const target = static_cast<unsigned char*>(to);
  const auto* const source = static_cast<const unsigned char*>(from);
  if (count <= 32) {
    copy_short(target, source, count);
  } else if (reinterpret_cast<std::uintptr_t>(target) < reinterpret_cast<std::uintptr_t>(source)) {
    copy_up(target, source, count);
  } else {
    copy_down(target, source, count);
  }
  return to;
}

void* memset(void* to, int byte, std::size_t count) {
  auto* target = static_cast<unsigned char*>(to);
  if (count < 16) {
    for (std::size_t i = 0; i < count; ++i) {
      target[i] = static_cast<unsigned char>(byte);
      asm volatile("" ::: "memory");  // stays a loop
    }
    return to;
  }
  const __m128i value = _mm_set1_epi8(static_cast<char>(byte));
  unsigned char* const tail = target + count - 16;
  for (; count > 16; count -= 16, target += 16)
    store16(target, value);
  store16(tail, value);
  return to;
}

int memcmp(const void* left, const void* right, std::size_t count) {
  const auto* a = static_cast<const unsigned char*>(left);
  const auto* b = static_cast<const unsigned char*>(right);
  for (; count >= 16; count -= 16, a += 16, b += 16) {
    const auto equal =
        static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(load16(a), load16(b))));
    if (equal != 0xFFFF) {
      const auto place = static_cast<std::size_t>(__builtin_ctz(~equal));
      return int{a[place]} - int{b[place]};
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (a[i] != b[i]) return int{a[i]} - int{b[i]};
  }
  return 0;
}

void* memchr(const void* memory, int byte, std::size_t count) {
  const auto* const bytes = static_cast<const unsigned char*>(memory);
  const __m128i wanted = _mm_set1_epi8(static_cast<char>(byte));
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const auto found =
        static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(load16(bytes + i), wanted)));
    if (found != 0) {
      return const_cast<unsigned char*>(bytes + i + __builtin_ctz(found));
    }
  }
  for (; i < count; ++i) {
    if (bytes[i] == static_cast<unsigned char>(byte)) return const_cast<unsigned char*>(bytes + i);
  }
  return nullptr;
}

std::size_t strlen(const char* text) {
  std::size_t length = 0;
  while (text[length] != '\0') {
    ++length;
    asm volatile("");  // stays a loop
  }
  return length;
}

int strcmp(const char* left, const char* right) {
  std::size_t i = 0;
  while (left[i] != '\0' && left[i] == right[i])
    ++i;
  return int{static_cast<unsigned char>(left[i])} - int{static_cast<unsigned char>(right[i])};
}

int strncmp(const char* left, const char* right, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (left[i] != right[i] || left[i] == '\0') {
      return int{static_cast<unsigned char>(left[i])} - int{static_cast<unsigned char>(right[i])};
    }
  }
  return 0;
}

}  // extern "C"
