# Hosted tests. A suite is a CTest label and a target `suite_<label>` that builds what the suite runs, and
# nothing else: `./ppvmm test` builds suites, each in its own preset.
include_guard()

# ppvmm_suite(<label> <target>…): the suite needs these programs.
function(ppvmm_suite label)
  if(NOT TARGET suite_${label})
    add_custom_target(suite_${label})
  endif()
  add_dependencies(suite_${label} ${ARGN})
endfunction()

# ppvmm_add_test(<name> <labels> SOURCES <file>… [LIBRARIES <target>…]): one GoogleTest program.
# Its cases run as one CTest entry, which keeps the suite quick to start. The first label is its suite.
function(ppvmm_add_test name labels)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "SOURCES;LIBRARIES")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ppvmm_warnings ${arg_LIBRARIES} GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT 300)
  list(GET labels 0 suite)
  ppvmm_suite(${suite} ${name})
endfunction()
