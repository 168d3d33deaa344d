/// Answers in a form that can be compared.
#pragma once

#include "differential/server.hpp"
#include "differential/step.hpp"

namespace ppvmm::differential {

/// The answer with what servers may choose freely taken out: transaction ids, generation counts,
/// the order of names in a directory.
[[nodiscard]] Answer canonical(const Step& step, Answer answer);

}  // namespace ppvmm::differential
