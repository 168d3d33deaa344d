/// Addresses that the linker script (unikernel.ld) defines, and the one rule of the address space:
/// pseudo-physical frame n of the domain lies at base() + n * 4096.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/vitals.hpp"

extern "C" {
extern std::byte ppvmm_base[];
extern std::byte ppvmm_text_start[];
extern std::byte ppvmm_text_end[];
extern std::byte ppvmm_rodata_start[];
extern std::byte ppvmm_rodata_end[];
extern std::byte ppvmm_data_start[];
extern std::byte ppvmm_data_end[];
extern std::byte ppvmm_bss_start[];
extern std::byte ppvmm_bss_end[];
extern std::byte ppvmm_keep_start[];
extern std::byte ppvmm_keep_end[];
extern ppvmm::abi::VitalsRegion ppvmm_vitals;
extern std::byte ppvmm_shared_info[];
extern std::byte ppvmm_nested_guard[];
extern std::byte ppvmm_nested_stack[];
extern std::byte ppvmm_trap_guard[];
extern std::byte ppvmm_trap_stack[];
extern std::byte ppvmm_contained_guard[];
extern std::byte ppvmm_contained_bottom[];
extern std::byte ppvmm_contained_stack[];
extern std::byte ppvmm_inner_guard[];
extern std::byte ppvmm_inner_bottom[];
extern std::byte ppvmm_inner_stack[];
extern std::byte ppvmm_main_guard[];
extern std::byte ppvmm_main_bottom[];
extern std::byte ppvmm_main_stack[];
extern std::byte ppvmm_top_guard[];
extern void (*const ppvmm_init_start[])();
extern void (*const ppvmm_init_end[])();
void ppvmm_reentry();
void ppvmm_upcall();
}

namespace ppvmm::kernel {

using Address = std::uint64_t;
inline constexpr std::size_t kPage = 4096;

template <typename T>
Address address_of(T* pointer) {
  return reinterpret_cast<Address>(pointer);
}
template <typename T = std::byte>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

inline Address base() {
  return address_of(&ppvmm_base[0]);
}
/// Address of a pseudo-physical frame.
inline Address frame_address(std::uint64_t pfn) {
  return base() + pfn * kPage;
}
/// Pseudo-physical frame of an address in the linear map.
inline std::uint64_t frame_of(Address address) {
  return (address - base()) / kPage;
}

}  // namespace ppvmm::kernel
