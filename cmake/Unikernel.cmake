# ppvmm_unikernel(name sources... [LIBS targets...])
#
# Makes a bootable image: a static ELF64 of the sources, the runtime (src/kernel) and the libraries, laid out by
# src/kernel/unikernel.ld. The image goes to <build>/unikernels/<name>, its debug information next to it as
# <name>.debug (found by debuggers through the debug link, read by host-side tools that symbolise fault records).
# The sources define ppvmm_main() (kernel/start.hpp). See docs/how-to-add-a-unikernel.md.
include_guard()

set(PPVMM_IMAGE_LIMIT 1048576 CACHE STRING "Largest unikernel image in bytes")

function(ppvmm_unikernel name)
  cmake_parse_arguments(arg "" "" "LIBS" ${ARGN})
  set(script "${CMAKE_SOURCE_DIR}/src/kernel/unikernel.ld")
  set(folder "${CMAKE_BINARY_DIR}/unikernels")
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${folder}" LINK_DEPENDS "${script}" POSITION_INDEPENDENT_CODE OFF)
  target_link_libraries(${name} PRIVATE ppvmm_pure)
  # libstdc++.a and libgcc.a give only platform-free objects (trees, hash primes, wide division); whatever would
  # need a C library fails to link.
  target_link_options(${name} PRIVATE
    -nostdlib -static -no-pie "-Wl,-T,${script}" -Wl,--gc-sections -Wl,-z,max-page-size=4096 -Wl,--build-id=none
    -Wl,-z,noexecstack -Wl,--no-undefined)
  target_link_libraries(${name} PRIVATE
    -Wl,--start-group ppvmm_kernel ${arg_LIBS} -lstdc++ -lgcc -Wl,--end-group)
  add_custom_command(TARGET ${name} POST_BUILD
    COMMAND "${CMAKE_OBJCOPY}" --only-keep-debug "$<TARGET_FILE:${name}>" "$<TARGET_FILE:${name}>.debug"
    COMMAND "${CMAKE_OBJCOPY}" --strip-all "--add-gnu-debuglink=$<TARGET_FILE:${name}>.debug" "$<TARGET_FILE:${name}>"
    COMMAND "${CMAKE_COMMAND}" "-DIMAGE=$<TARGET_FILE:${name}>" "-DLIMIT=${PPVMM_IMAGE_LIMIT}"
            -P "${CMAKE_SOURCE_DIR}/cmake/CheckImageSize.cmake"
    VERBATIM)
endfunction()
