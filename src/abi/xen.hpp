/// Xen's public headers (libxen-dev), included in one place only.
///
/// The interface version must be set before the first of them: without it they select pre-2006
/// hypercall numbers. 0x00040e00 is what Xen 4.14 and later understand, the oldest we run on is
/// 4.17.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__XEN_INTERFACE_VERSION__) && __XEN_INTERFACE_VERSION__ < 0x00040e00
#error "a Xen public header was included with an older interface version"
#endif
#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#endif

extern "C" {
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/io/console.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/xen.h>
}

namespace ppvmm::abi {

using DomId = std::uint16_t;     ///< Domain id; 0x7FF0 and up are reserved (xen.h, DOMID_*).
using Port = std::uint32_t;      ///< Event-channel port of this domain; 0 is never a valid one.
using GrantRef = std::uint32_t;  ///< Index into the granting domain's grant table.

static_assert(sizeof(shared_info_t) <= 4096);
static_assert(sizeof(grant_entry_v1_t) == 8);
static_assert(offsetof(start_info_t, nr_pages) == 32);
static_assert(sizeof(trap_info_t) == 16);

}  // namespace ppvmm::abi
