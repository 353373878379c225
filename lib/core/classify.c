/* SPDX-License-Identifier: MIT
 *
 * From a CPU's fault status, or a signal frame, to the record.  Runs in the handler, changes nothing.  The one thing not
 * to break: si_code is looked at before any other field, because a signal that was sent carries the registers, and on x86
 * the error code, of an older fault. */
#include "classify.h"
#include <errno.h>
#include <string.h>
#include "arch/arch.h"
#include "export.h"

static void set_access(struct vpager_fault *fault, enum vpager_access access, enum vpager_evidence evidence)
{
	fault->access = access;
	fault->evidence = access == VPAGER_ACCESS_UNKNOWN ? VPAGER_EVIDENCE_NONE : evidence;
	fault->was_write = access == VPAGER_ACCESS_WRITE;
}

/* What fits the size that the caller set, which stays as it is. */
static void hand_out(const struct vpager_fault *fault, struct vpager_fault *out)
{
	size_t fits = out->size < sizeof *fault ? out->size : sizeof *fault;

	if (fits > sizeof out->size)
		memcpy((char *)out + sizeof out->size, (const char *)fault + sizeof out->size, fits - sizeof out->size);
}

static bool bit(uint64_t word, unsigned n)
{
	return word >> n & 1;
}

/* ---- the pure decoders: first match wins ---- */

static struct vpager_fault from_hardware(uint64_t address, uint64_t pc, uint64_t hw_code)
{
	struct vpager_fault fault = {
	    .size = sizeof fault,
	    .faulting_address = (uintptr_t)address,
	    .instruction_pointer = (uintptr_t)pc,
	    .address_exact = true,
	    .hw_code = hw_code,
	    .origin = VPAGER_ORIGIN_FOREIGN,
	};
	return fault;
}

/* The page-fault error code: Intel SDM volume 3A, "Page-Fault Exceptions". */
VPAGER_EXPORT void vpager_fault_from_x86_64(uint64_t error_code, uint64_t cr2, uint64_t rip, struct vpager_fault *out)
{
	struct vpager_fault fault = from_hardware(cr2, rip, error_code);
	bool present = bit(error_code, 0), write = bit(error_code, 1), user = bit(error_code, 2), fetch = bit(error_code, 4);
	bool other = bit(error_code, 3) || bit(error_code, 5) || bit(error_code, 6) || bit(error_code, 15);
	enum vpager_access access;

	fault.was_user_mode = user;
	if (user && bit(cr2, 63)) {
		fault.reason = VPAGER_FAULT_USER_MODE_KERNEL_ACCESS;
		access = write ? VPAGER_ACCESS_WRITE : fetch ? VPAGER_ACCESS_EXEC : VPAGER_ACCESS_READ;
	} else if (other) { /* reserved bit, protection key, shadow stack, SGX */
		fault.reason = VPAGER_FAULT_PROTECTION_VIOLATION;
		access = write ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_READ;
	} else if (!present) {
		fault.reason = VPAGER_FAULT_NOT_PRESENT;
		access = write ? VPAGER_ACCESS_WRITE : fetch ? VPAGER_ACCESS_EXEC : VPAGER_ACCESS_READ;
	} else if (fetch) {
		fault.reason = VPAGER_FAULT_EXECUTE_NO_EXECUTE;
		access = VPAGER_ACCESS_EXEC;
	} else if (write) {
		fault.reason = VPAGER_FAULT_WRITE_TO_READ_ONLY;
		access = VPAGER_ACCESS_WRITE;
	} else {
		fault.reason = user ? VPAGER_FAULT_USER_MODE_KERNEL_ACCESS : VPAGER_FAULT_PROTECTION_VIOLATION;
		access = VPAGER_ACCESS_READ;
	}
	set_access(&fault, access, VPAGER_EVIDENCE_HARDWARE);
	hand_out(&fault, out);
}

/* ESR_EL1 in the Arm Architecture Reference Manual for A-profile (DDI 0487). */
VPAGER_EXPORT void vpager_fault_from_aarch64(uint64_t esr, uint64_t far_address, uint64_t elr, struct vpager_fault *out)
{
	struct vpager_fault fault = from_hardware(far_address, elr, esr);
	unsigned ec = (unsigned)(esr >> 26) & 0x3f, status = (unsigned)esr & 0x3f;
	bool data = ec == 0x24 || ec == 0x25, fetch = ec == 0x20 || ec == 0x21;
	bool write = bit(esr, 6) && !bit(esr, 8); /* WnR is also set by cache maintenance, which CM tells */
	enum vpager_access access = fetch ? VPAGER_ACCESS_EXEC : write ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_READ;

	fault.was_user_mode = ec == 0x24 || ec == 0x20;
	if (!data && !fetch) {
		fault.reason = VPAGER_FAULT_PROTECTION_VIOLATION;
		fault.address_exact = false;
		access = VPAGER_ACCESS_UNKNOWN;
	} else if (status <= 0x07) { /* address size, translation */
		fault.reason = VPAGER_FAULT_NOT_PRESENT;
	} else if (status >= 0x0c && status <= 0x0f) { /* permission */
		fault.reason = fetch   ? VPAGER_FAULT_EXECUTE_NO_EXECUTE
		               : write ? VPAGER_FAULT_WRITE_TO_READ_ONLY
		                       : VPAGER_FAULT_PROTECTION_VIOLATION;
	} else {
		fault.reason = VPAGER_FAULT_PROTECTION_VIOLATION;
		fault.address_exact = !(status == 0x10 && bit(esr, 10)); /* FnV: an external abort without an address */
	}
	set_access(&fault, access, VPAGER_EVIDENCE_HARDWARE);
	hand_out(&fault, out);
}

/* scause in the RISC-V Instruction Set Manual, volume II (privileged architecture). */
VPAGER_EXPORT void vpager_fault_from_riscv(uint64_t cause, uint64_t stval, uint64_t sepc, struct vpager_fault *out)
{
	struct vpager_fault fault = from_hardware(stval, sepc, cause);
	enum vpager_access access = VPAGER_ACCESS_UNKNOWN;

	fault.was_user_mode = true; /* scause does not say; user mode is what reaches us */
	fault.reason = VPAGER_FAULT_NOT_PRESENT;
	if (cause == 12) {
		fault.reason = VPAGER_FAULT_EXECUTE_NO_EXECUTE;
		access = VPAGER_ACCESS_EXEC;
	} else if (cause == 13) {
		access = VPAGER_ACCESS_READ;
	} else if (cause == 15) {
		access = VPAGER_ACCESS_WRITE;
	} else {
		fault.reason = VPAGER_FAULT_PROTECTION_VIOLATION;
		fault.address_exact = false;
	}
	set_access(&fault, access, VPAGER_EVIDENCE_HARDWARE);
	hand_out(&fault, out);
}

/* ---- a signal frame of this CPU ---- */

static enum vpager_fault_reason reason_of(int signo, int si_code, enum vpager_access access)
{
	/* Nothing there to be had: the end of the file (x86 agrees, its error code has the present bit clear). */
	if (signo == SIGBUS)
		return si_code == BUS_ADRERR ? VPAGER_FAULT_NOT_PRESENT : VPAGER_FAULT_PROTECTION_VIOLATION;
	if (si_code == SEGV_MAPERR)
		return VPAGER_FAULT_NOT_PRESENT;
	if (si_code == SEGV_ACCERR && access == VPAGER_ACCESS_EXEC)
		return VPAGER_FAULT_EXECUTE_NO_EXECUTE;
	if (si_code == SEGV_ACCERR && access == VPAGER_ACCESS_WRITE)
		return VPAGER_FAULT_WRITE_TO_READ_ONLY;
	return VPAGER_FAULT_PROTECTION_VIOLATION;
}

/* Fills all of *out, its size too. */
void fault_classify(int signo, const siginfo_t *si, const ucontext_t *uc, struct vpager_fault *out)
{
	struct arch_access how;

	*out = (struct vpager_fault){
	    .size = sizeof *out,
	    .reason = VPAGER_FAULT_PROTECTION_VIOLATION,
	    .was_user_mode = true, /* the kernel's own faults end in -EFAULT, not in a signal */
	    .instruction_pointer = arch_pc(uc),
	    .evidence = VPAGER_EVIDENCE_NONE,
	    .origin = VPAGER_ORIGIN_FOREIGN,
	    .stack_pointer = arch_sp(uc),
	    .signo = signo,
	    .si_code = si->si_code,
	};
	if (!fault_has_address(si))
		return;
	how = arch_access(si, uc);
	out->faulting_address = (uintptr_t)si->si_addr;
	out->address_exact = ARCH_ADDRESS_EXACT;
	out->hw_code = how.hw_code;
	set_access(out, how.access, how.evidence);
	out->reason = arch_kernel_half(out->faulting_address) ? VPAGER_FAULT_USER_MODE_KERNEL_ACCESS
	                                                       : reason_of(signo, si->si_code, how.access);
}

VPAGER_EXPORT int vpager_fault_decode(int signo, const void *siginfo, const void *ucontext, struct vpager_fault *out)
{
	const siginfo_t *si = siginfo;
	struct vpager_fault fault;

	if ((signo != SIGSEGV && signo != SIGBUS) || !fault_is_synchronous(si))
		return -EINVAL;
	fault_classify(signo, si, ucontext, &fault);
	hand_out(&fault, out);
	return 0;
}

VPAGER_EXPORT const char *vpager_fault_reason_name(enum vpager_fault_reason reason)
{
	switch (reason) {
	case VPAGER_FAULT_NOT_PRESENT:
		return "not present";
	case VPAGER_FAULT_PROTECTION_VIOLATION:
		return "protection violation";
	case VPAGER_FAULT_WRITE_TO_READ_ONLY:
		return "write to read-only";
	case VPAGER_FAULT_EXECUTE_NO_EXECUTE:
		return "execute no-execute";
	case VPAGER_FAULT_USER_MODE_KERNEL_ACCESS:
		return "user-mode kernel access";
	}
	return "unknown reason";
}
