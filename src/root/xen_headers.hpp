/// Xen's C libraries, in one place: their headers carry no `extern "C"` of their own and need the
/// GNU dialect. Only .cpp files include this; the library's own headers stay free of Xen's names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" {
#include <xencall.h>
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xenguest.h>
}
