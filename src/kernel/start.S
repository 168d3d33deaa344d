/* Entry points that no C++ can express: first entry, re-entry, trap stubs, event upcall, and the notes that Xen's
 * domain builder and root read. Register conventions: public/arch-x86/xen-x86_64.h and xen.h, "Start-of-day memory
 * layout". */

#include <xen/elfnote.h>
#include <xen/xen.h>

/* sched.h holds C only; traps.cpp asserts that these agree with it. */
#define SCHEDOP_shutdown 2
#define SHUTDOWN_crash 3

    .section .text.start, "ax", @progbits

/* First entry. Xen's builder gives rsi = start_info; the first bootstrap frame after its stack is free, so the stack
 * pointer tells where free memory begins. */
    .globl ppvmm_entry
    .type ppvmm_entry, @function
ppvmm_entry:
    movq %rsi, %rdi
    movq %rsp, %rsi
    jmp begin

/* Re-entry after a microreboot: root has set RIP here and RSP to ppvmm_main_stack, all else is whatever the last
 * incarnation left. */
    .globl ppvmm_reentry
    .type ppvmm_reentry, @function
ppvmm_reentry:
    xorl %edi, %edi
    xorl %esi, %esi
begin:
    movabsq $ppvmm_main_stack, %rsp
    pushq $0x2                      /* DF, TF, AC, NT clear */
    popfq
    fninit
    pushq $0x1f80                   /* SSE: round to nearest, all exceptions masked */
    ldmxcsr (%rsp)
    movabsq $ppvmm_main_stack, %rsp
    xorl %ebp, %ebp                 /* the end of every backtrace */
    call ppvmm_begin
    ud2
    .size ppvmm_entry, . - ppvmm_entry

/* Trap stubs. In a PV kernel Xen pushes its frame on the stack in use: rcx, r11, [error code], rip, cs, rflags, rsp,
 * ss. That is all that ever touches it: the first instructions note the vector and move to a stack of our own, a
 * second trap inside the first moves to another one, a third one ends the domain at once. */
    .altmacro
    .macro trap_stub vector
    .balign 16
    movl $\vector, trap_vector(%rip)
    jmp trap_common
    .endm

    .balign 16
    .globl ppvmm_trap_stubs
ppvmm_trap_stubs:
    .set i, 0
    .rept 33                        /* 0-31: exceptions; 32: Xen's failsafe callback */
    trap_stub %i
    .set i, i + 1
    .endr
    .noaltmacro

trap_common:
    movq %rax, trap_rax(%rip)
    movl trap_depth(%rip), %eax
    incl %eax
    movl %eax, trap_depth(%rip)
    cmpl $2, %eax
    movq %rsp, %rax
    ja trap_hopeless
    je 1f
    movabsq $ppvmm_trap_stack, %rsp
    jmp 2f
1:  movabsq $ppvmm_nested_stack, %rsp
2:  pushq %r15                      /* ppvmm::kernel::SavedRegisters, last member first */
    pushq %r14
    pushq %r13
    pushq %r12
    pushq 8(%rax)                   /* r11 as Xen saved it */
    pushq %r10
    pushq %r9
    pushq %r8
    pushq %rbp
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq 0(%rax)                   /* rcx as Xen saved it */
    pushq %rbx
    pushq trap_rax(%rip)
    pushq $0                        /* keeps rsp 16-byte aligned at the call */
    cld
    leaq 8(%rsp), %rdi
    leaq 16(%rax), %rsi             /* [error code], rip, cs, rflags, rsp, ss */
    movl trap_vector(%rip), %edx
    movl trap_depth(%rip), %ecx
    xorl %ebp, %ebp
    call ppvmm_trap
    /* Returns only when a probe expected this trap (0), when it belongs to the life before (1), or when it ends
     * contained code (2). */
    movl $0, trap_depth(%rip)
    cmpl $1, %eax
    je ppvmm_reentry
    ja ppvmm_contain_land
    movq probe_stack(%rip), %rsp
    movq probe_frame(%rip), %rbp
    movq $0, probe_stack(%rip)
    movl $1, %eax
    ret
trap_hopeless:
    leaq hopeless_request(%rip), %rsi
    movl $SCHEDOP_shutdown, %edi
    movl $__HYPERVISOR_sched_op, %eax
    syscall
    jmp trap_hopeless

/* Probes: one access that may fault. 0: it went through, 1: it trapped. All in C calling convention, and none of them
 * changes a register that a caller expects back, so a trap can return from them directly. */
    .macro probe name, access:vararg
    .globl \name
    .type \name, @function
\name:
    movq %rsp, probe_stack(%rip)
    movq %rbp, probe_frame(%rip)
    \access
    movq $0, probe_stack(%rip)
    xorl %eax, %eax
    ret
    .size \name, . - \name
    .endm
    probe ppvmm_probe_read, movb (%rdi), %al
    probe ppvmm_probe_write, movb %sil, (%rdi)
    probe ppvmm_probe_call, call *%rdi

/* int ppvmm_contain(void (*code)(void*), void* context, void* stack): calls code(context) on a stack of contained code.
 * 0: it came back; 1: it ended in ppvmm_contain_land, from wherever it was. ppvmm_contained is the way back, 0 outside;
 * the way back of the level outside lies on that level's stack. */
    .globl ppvmm_contain
    .type ppvmm_contain, @function
ppvmm_contain:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq ppvmm_contained(%rip)
    movq %rsp, ppvmm_contained(%rip)
    movq %rdx, %rsp
    movq %rdi, %rax
    movq %rsi, %rdi
    xorl %ebp, %ebp                 /* the end of every backtrace */
    call *%rax
    xorl %eax, %eax
1:  movq ppvmm_contained(%rip), %rsp
    popq ppvmm_contained(%rip)
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size ppvmm_contain, . - ppvmm_contain
    .globl ppvmm_contain_land
ppvmm_contain_land:
    movq ppvmm_contained(%rip), %rsp
    pushq $0x2                      /* DF, TF, AC, NT clear */
    popfq
    movl $1, %eax
    jmp 1b

/* Event upcall. Events are masked while ordinary code runs; an upcall comes only while SCHEDOP_block has them unmasked,
 * or as the tick that watches over contained code. In the first case nothing is done here: the event loop looks at the
 * pending bits itself. Xen masked events when it delivered, and the way back is taken without a hypercall so that they
 * stay masked: the return address goes right below the interrupted stack pointer, which is padding or the saved ss of
 * Xen's frame. */
    .balign 16
    .globl ppvmm_upcall
ppvmm_upcall:
    cmpq $0, ppvmm_contained(%rip)
    jne 2f
1:  movq 40(%rsp), %rcx             /* interrupted rsp */
    movq 16(%rsp), %r11             /* interrupted rip */
    movq %r11, -8(%rcx)
    leaq -8(%rcx), %rcx
    movq %rcx, 40(%rsp)
    movq 0(%rsp), %rcx
    movq 8(%rsp), %r11
    pushq 32(%rsp)                  /* rflags */
    popfq
    movq 40(%rsp), %rsp
    ret
/* Contained code: ppvmm_tick decides whether it goes on. Its stack takes no more than Xen's frame and these. */
2:  pushq %rax
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    fxsave64 upcall_fpu(%rip)
    leaq 56(%rsp), %rdi
    movq %rbp, %rsi
    movq %rsp, upcall_stack(%rip)
    movabsq $ppvmm_trap_stack, %rsp
    cld
    call ppvmm_tick
    movq upcall_stack(%rip), %rsp
    testl %eax, %eax
    jnz ppvmm_contain_land
    fxrstor64 upcall_fpu(%rip)
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rax
    movb $0, ppvmm_shared_info+1(%rip)  /* evtchn_upcall_mask of vCPU 0; what comes now interrupts the way back */
    jmp 1b

    .bss
    .balign 8
    .globl ppvmm_probe_armed
ppvmm_probe_armed:
probe_stack: .quad 0
    .globl ppvmm_contained
ppvmm_contained: .quad 0
probe_frame: .quad 0
trap_rax:    .quad 0
upcall_stack: .quad 0
trap_vector: .long 0
trap_depth:  .long 0

    .balign 16
upcall_fpu:  .skip 512

    .section .rodata, "a"
    .balign 4
hopeless_request: .long SHUTDOWN_crash

/* --- Notes ------------------------------------------------------------------------------------------------------- */

    .macro xen_note type, desc:vararg
    .section .note.Xen, "a", @note
    .balign 4
    .long 2f - 1f
    .long 4f - 3f
    .long \type
1:  .asciz "Xen"
2:  .balign 4
3:  \desc
4:  .balign 4
    .endm

    xen_note XEN_ELFNOTE_GUEST_OS, .asciz "PpVMM"
    xen_note XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0"
    xen_note XEN_ELFNOTE_LOADER, .asciz "generic"
    xen_note XEN_ELFNOTE_VIRT_BASE, .quad ppvmm_base
    xen_note XEN_ELFNOTE_PADDR_OFFSET, .quad ppvmm_base
    xen_note XEN_ELFNOTE_ENTRY, .quad ppvmm_entry
    xen_note XEN_ELFNOTE_PAE_MODE, .asciz "yes"
    xen_note XEN_ELFNOTE_SUSPEND_CANCEL, .long 1

/* abi/image_note.hpp, ImageNote. boot.cpp checks that these constants match the header. */
    .section .note.PpVMM, "a", @note
    .balign 4
    .long 6
    .long 9f - 8f
    .long 1
    .asciz "PpVMM"
    .balign 4
    .globl ppvmm_image_note
ppvmm_image_note:
8:  .long 1
    .long 9f - 8b
    .quad ppvmm_base
    .quad ppvmm_vitals
    .quad ppvmm_vitals_bytes
    .quad ppvmm_reentry
    .quad ppvmm_main_stack
    .macro range part, action, access
    .quad ppvmm_\part\()_start
    .quad ppvmm_\part\()_bytes
    .long \action
    .long \access
    .endm
    range text, 1, 1
    range rodata, 1, 2
    range data, 1, 3
    range bss, 2, 3
    range keep, 3, 3
    .quad 0, 0, 0
9:  .balign 4

    .section .note.GNU-stack, "", @progbits
