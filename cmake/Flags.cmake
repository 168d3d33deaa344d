# Compiler flags, kept in two interface targets.
#
#   ppvmm_warnings  every warning we can get, as an error: linked by every target.
#   ppvmm_pure      what a pure core is compiled with. Its objects go unchanged into host programs and
#                   into unikernels, so they use nothing that only one of the two has: no exceptions, no
#                   RTTI, no red zone (a trap in a PV guest pushes its frame right below the stack
#                   pointer), no std templates instantiated in a shared library. Frame pointers stay, for
#                   the backtrace of a fault record; large frames touch every page, so none jumps over a
#                   guard page.
include_guard()

add_library(ppvmm_warnings INTERFACE)
target_compile_options(ppvmm_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-align
  -Woverloaded-virtual -Wconversion -Wsign-conversion -Wnull-dereference -Wdouble-promotion
  -Wformat=2 -Wimplicit-fallthrough)
target_include_directories(ppvmm_warnings INTERFACE "${CMAKE_SOURCE_DIR}/src")

add_library(ppvmm_pure INTERFACE)
target_link_libraries(ppvmm_pure INTERFACE ppvmm_warnings)
target_compile_options(ppvmm_pure INTERFACE
  -fno-exceptions -fno-rtti -mno-red-zone -fcf-protection=none -fstack-protector-strong
  -fstack-clash-protection -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer
  -ffunction-sections -fdata-sections)
target_compile_definitions(ppvmm_pure INTERFACE _GLIBCXX_EXTERN_TEMPLATE=0)

# The address sanitizer watches everything; the undefined-behaviour sanitizer the pure cores, where
# hostile bytes are parsed. In test programs it would double the compile time to check GoogleTest.
if(PPVMM_SANITIZE)
  add_compile_options(-fsanitize=address -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(ppvmm_pure INTERFACE -fsanitize=undefined)
  add_link_options(-fsanitize=address,undefined)
endif()
if(PPVMM_FUZZ)
  # Coverage everywhere; only the fuzz targets link libFuzzer's main().
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
