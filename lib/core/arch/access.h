/* SPDX-License-Identifier: MIT
 *
 * What a CPU's decoder is asked and what it answers.  Pure: the frame.h and insn.h of every CPU use it and compile on every
 * host, so that tests replay the frames of all CPUs anywhere.  Runs in the handler. */
#ifndef VPAGER_CORE_ARCH_ACCESS_H
#define VPAGER_CORE_ARCH_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vpager.h"

struct arch_access {
	enum vpager_access access;
	enum vpager_evidence evidence;
	uint64_t hw_code;
};

/* The part of siginfo_t that does not lie in the frame. */
struct arch_signal {
	int signo, si_code;
	uint64_t address;
};

/* Copies up to len bytes of text at address and returns how many could be read; never faults. */
typedef size_t (*arch_peek_fn)(uint64_t address, void *buf, size_t len);

static inline struct arch_access arch_access_unknown(uint64_t hw_code)
{
	return (struct arch_access){VPAGER_ACCESS_UNKNOWN, VPAGER_EVIDENCE_NONE, hw_code};
}

static inline struct arch_access arch_access_by_hardware(enum vpager_access access, uint64_t hw_code)
{
	return (struct arch_access){access, VPAGER_EVIDENCE_HARDWARE, hw_code};
}

static inline struct arch_access arch_access_by_insn(enum vpager_access access, uint64_t hw_code)
{
	if (access == VPAGER_ACCESS_UNKNOWN)
		return arch_access_unknown(hw_code);
	return (struct arch_access){access, VPAGER_EVIDENCE_INSTRUCTION, hw_code};
}

/* For CPUs that report an atomic read-modify-write of an absent page as a read: their "read" stands only if the instruction
 * is one that reads and no more. */
static inline struct arch_access arch_access_settle(struct arch_access hardware, enum vpager_access insn)
{
	if (hardware.access == VPAGER_ACCESS_WRITE || hardware.access == VPAGER_ACCESS_EXEC)
		return hardware;
	if (hardware.access == VPAGER_ACCESS_READ && insn == VPAGER_ACCESS_READ)
		return hardware;
	return arch_access_by_insn(insn, hardware.hw_code);
}

#endif
