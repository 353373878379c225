/* SPDX-License-Identifier: MIT
 *
 * i386 system calls: number in eax, arguments in ebx, ecx, edx, esi, edi, ebp, result in eax; nothing else changes
 * (syscall(2), arch/x86/entry/entry_32.S).  ebp may be the frame pointer: a compiler does not let go of it, and what it does not
 * know of is not in the unwind tables.  Runs in the handler. */
#ifndef VPAGER_CORE_ARCH_I386_SYSCALL_H
#define VPAGER_CORE_ARCH_I386_SYSCALL_H

#define ARCH_SYS_CALL                                                                                                  \
	"	.text\n"                                                                                               \
	"	.balign 16\n"                                                                                          \
	"	.globl sys_call\n"                                                                                     \
	"	.hidden sys_call\n"                                                                                    \
	"	.type sys_call, @function\n"                                                                           \
	"sys_call:\n"                                                                                                  \
	"	.cfi_startproc\n"                                                                                      \
	"	pushl %ebp\n"                                                                                          \
	"	.cfi_adjust_cfa_offset 4\n"                                                                            \
	"	.cfi_rel_offset ebp, 0\n"                                                                              \
	"	pushl %ebx\n"                                                                                          \
	"	.cfi_adjust_cfa_offset 4\n"                                                                            \
	"	.cfi_rel_offset ebx, 0\n"                                                                              \
	"	pushl %esi\n"                                                                                          \
	"	.cfi_adjust_cfa_offset 4\n"                                                                            \
	"	.cfi_rel_offset esi, 0\n"                                                                              \
	"	pushl %edi\n"                                                                                          \
	"	.cfi_adjust_cfa_offset 4\n"                                                                            \
	"	.cfi_rel_offset edi, 0\n"                                                                              \
	"	movl 20(%esp), %eax\n"                                                                                 \
	"	movl 24(%esp), %ebx\n"                                                                                 \
	"	movl 28(%esp), %ecx\n"                                                                                 \
	"	movl 32(%esp), %edx\n"                                                                                 \
	"	movl 36(%esp), %esi\n"                                                                                 \
	"	movl 40(%esp), %edi\n"                                                                                 \
	"	movl 44(%esp), %ebp\n"                                                                                 \
	"	int $0x80\n"                                                                                           \
	"	popl %edi\n"                                                                                           \
	"	.cfi_adjust_cfa_offset -4\n"                                                                           \
	"	.cfi_restore edi\n"                                                                                    \
	"	popl %esi\n"                                                                                           \
	"	.cfi_adjust_cfa_offset -4\n"                                                                           \
	"	.cfi_restore esi\n"                                                                                    \
	"	popl %ebx\n"                                                                                           \
	"	.cfi_adjust_cfa_offset -4\n"                                                                           \
	"	.cfi_restore ebx\n"                                                                                    \
	"	popl %ebp\n"                                                                                           \
	"	.cfi_adjust_cfa_offset -4\n"                                                                           \
	"	.cfi_restore ebp\n"                                                                                    \
	"	ret\n"                                                                                                 \
	"	.cfi_endproc\n"                                                                                        \
	"	.size sys_call, .-sys_call\n"

#define ARCH_OFF64(x) , (long)(uint32_t)(x), (long)(uint32_t)((uint64_t)(x) >> 32)

typedef struct {
	unsigned long word[2];
} arch_sigset_t;

/* struct sigaction of arch/x86/include/uapi/asm/signal.h; the vDSO has a restorer where there is none. */
struct arch_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	arch_sigset_t mask;
};

#endif
