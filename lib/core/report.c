/* SPDX-License-Identifier: MIT
 *
 * A fault record as text for a crash log, one "name: value" a line, names as in struct vpager_fault.  Runs in the handler of
 * a dying program: no stdio, no allocation, and one write(2) where the kernel takes it whole, so that the reports of two
 * threads do not mix. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "export.h"
#include "sys.h"

#ifndef SEGV_MTEAERR
#define SEGV_MTEAERR 8
#define SEGV_MTESERR 9
#endif

/* The longest record is about 600 bytes; what did not fit would be cut off at the end, never overrun. */
struct text {
	size_t len;
	char buf[1024];
};

static void put(struct text *text, const char *s)
{
	while (*s && text->len < sizeof text->buf)
		text->buf[text->len++] = *s++;
}

static void put_number(struct text *text, uint64_t value, unsigned base)
{
	char digits[24], *p = digits + sizeof digits - 1;

	*p = '\0';
	do {
		*--p = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	put(text, p);
}

static void line_text(struct text *text, const char *name, const char *value)
{
	put(text, name);
	put(text, ": ");
	put(text, value);
	put(text, "\n");
}

static void line_hex(struct text *text, const char *name, uint64_t value)
{
	put(text, name);
	put(text, ": 0x");
	put_number(text, value, 16);
	put(text, "\n");
}

/* meaning: the number's symbol, NULL if it has none */
static void line_int(struct text *text, const char *name, int64_t value, const char *meaning)
{
	put(text, name);
	put(text, value < 0 ? ": -" : ": ");
	put_number(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
	if (meaning) {
		put(text, " (");
		put(text, meaning);
		put(text, ")");
	}
	put(text, "\n");
}

static const char *access_name(enum vpager_access access)
{
	switch (access) {
	case VPAGER_ACCESS_UNKNOWN:
		break;
	case VPAGER_ACCESS_READ:
		return "read";
	case VPAGER_ACCESS_WRITE:
		return "write";
	case VPAGER_ACCESS_EXEC:
		return "execute";
	}
	return "unknown";
}

static const char *evidence_name(enum vpager_evidence evidence)
{
	switch (evidence) {
	case VPAGER_EVIDENCE_HARDWARE:
		return "hardware";
	case VPAGER_EVIDENCE_INSTRUCTION:
		return "instruction";
	case VPAGER_EVIDENCE_PAGE_STATE:
		return "page state";
	case VPAGER_EVIDENCE_NONE:
		break;
	}
	return "none";
}

static const char *origin_name(enum vpager_origin origin)
{
	switch (origin) {
	case VPAGER_ORIGIN_FOREIGN:
		return "foreign";
	case VPAGER_ORIGIN_REGION:
		return "region";
	case VPAGER_ORIGIN_STACK_GROWTH:
		return "stack growth";
	case VPAGER_ORIGIN_STACK_OVERFLOW:
		return "stack overflow";
	}
	return "unknown";
}

static const char *signal_name(int signo)
{
	return signo == SIGSEGV ? "SIGSEGV" : signo == SIGBUS ? "SIGBUS" : NULL;
}

static const char *segv_code_name(int si_code)
{
	switch (si_code) {
	case SEGV_MAPERR:
		return "SEGV_MAPERR";
	case SEGV_ACCERR:
		return "SEGV_ACCERR";
	case SEGV_PKUERR:
		return "SEGV_PKUERR";
	case SEGV_MTEAERR:
		return "SEGV_MTEAERR";
	case SEGV_MTESERR:
		return "SEGV_MTESERR";
	}
	return NULL;
}

static const char *bus_code_name(int si_code)
{
	switch (si_code) {
	case BUS_ADRALN:
		return "BUS_ADRALN";
	case BUS_ADRERR:
		return "BUS_ADRERR";
	case BUS_OBJERR:
		return "BUS_OBJERR";
	case BUS_MCEERR_AR:
		return "BUS_MCEERR_AR";
	case BUS_MCEERR_AO:
		return "BUS_MCEERR_AO";
	}
	return NULL;
}

static const char *code_name(int signo, int si_code)
{
	if (si_code == SI_KERNEL)
		return "SI_KERNEL";
	return signo == SIGSEGV ? segv_code_name(si_code) : signo == SIGBUS ? bus_code_name(si_code) : NULL;
}

/* What stores and the library itself report most. */
static const char *error_name(int error)
{
	switch (-error) {
	case EIO:
		return "EIO";
	case ENOMEM:
		return "ENOMEM";
	case EACCES:
		return "EACCES";
	case EFAULT:
		return "EFAULT";
	case EINVAL:
		return "EINVAL";
	case ENOSPC:
		return "ENOSPC";
	case ESTALE:
		return "ESTALE";
	case EDEADLK:
		return "EDEADLK";
	case EOVERFLOW:
		return "EOVERFLOW";
	}
	return NULL;
}

static void put_fault(struct text *text, const struct vpager_fault *f)
{
	line_text(text, "reason", vpager_fault_reason_name(f->reason));
	line_hex(text, "faulting_address", f->faulting_address);
	line_text(text, "address_exact", f->address_exact ? "yes" : "no");
	line_text(text, "access", access_name(f->access));
	line_text(text, "evidence", evidence_name(f->evidence));
	line_text(text, "was_user_mode", f->was_user_mode ? "yes" : "no");
	line_hex(text, "instruction_pointer", f->instruction_pointer);
	line_hex(text, "stack_pointer", f->stack_pointer);
	if (f->stack_limit)
		line_hex(text, "stack_limit", f->stack_limit);
	line_int(text, "signo", f->signo, signal_name(f->signo));
	line_int(text, "si_code", f->si_code, code_name(f->signo, f->si_code));
	line_text(text, "origin", origin_name(f->origin));
	if (f->object)
		line_hex(text, "object", (uintptr_t)f->object);
	if (f->error)
		line_int(text, "error", f->error, error_name(f->error));
	if (f->hw_code)
		line_hex(text, "hw_code", f->hw_code);
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = sys_write(fd, p, len);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ? (int)n : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

VPAGER_EXPORT int vpager_fault_write(int fd, const struct vpager_fault *fault)
{
	/* A record of an older, shorter struct: the fields that it has not read as zeros. */
	struct vpager_fault full = {.evidence = VPAGER_EVIDENCE_NONE};
	struct text text;

	memcpy(&full, fault, fault->size < sizeof full ? fault->size : sizeof full);
	text.len = 0;
	put_fault(&text, &full);
	return write_all(fd, text.buf, text.len);
}
