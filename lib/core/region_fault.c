/* SPDX-License-Identifier: MIT
 *
 * What a region does about a fault: demand paging and the opening of pages for writing.  Runs in the handler.  Which state a
 * page is in decides what happens; whether the access was a write only saves a second fault. */
#include "region.h"
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include "arch/arch.h"
#include "inside.h"
#include "landing.h"
#include "readahead.h"
#include "thread.h"

#define REPEATS_FOREIGN 16 /* the same fault on a visible page that often: whatever raises it, it is not ours */

int page_prot(uint32_t word, enum page_state state)
{
	int prot = PROT_READ;

	if (state != PAGE_READABLE && state != PAGE_WRITABLE)
		return PROT_NONE;
	if (state == PAGE_WRITABLE)
		prot |= PROT_WRITE;
	if (word & PAGE_EXECUTABLE)
		prot |= PROT_EXEC;
	return prot;
}

static bool may_write(const struct vpager_region *region, uint32_t word)
{
	return !(region->flags & VPAGER_REGION_READ_ONLY) && !(word & PAGE_DENY_WRITE);
}

static enum outcome fail(struct attempt *attempt, int error)
{
	attempt->fault->error = error;
	return OUTCOME_FAILED;
}

/* The state in which a hidden page is shown for this access. */
static enum page_state shown_as(const struct vpager_region *region, uint32_t word, enum vpager_access access)
{
	if (access == VPAGER_ACCESS_WRITE)
		return PAGE_WRITABLE;
	/* Written before and not watched since: opening it now saves the write's fault and tells nothing untrue. */
	if ((word & PAGE_DIRTY) && (word & PAGE_WRITTEN) && !(word & PAGE_ARMED) && may_write(region, word))
		return PAGE_WRITABLE;
	return PAGE_READABLE;
}

void settle_shown(struct vpager_region *region, size_t page, uint32_t before, enum page_state to, uint32_t ahead)
{
	cow_shown(region, page, before, to);
	if (to == PAGE_WRITABLE) {
		if (!(before & PAGE_DIRTY))
			atomic_fetch_add_explicit(&region->counters.dirty_pages, 1, memory_order_relaxed);
		page_settle(&region->table, page, to, PAGE_DIRTY | PAGE_WRITTEN | PAGE_ACCESSED | ahead, PAGE_ARMED | PAGE_AHEAD);
	} else {
		page_settle(&region->table, page, to, PAGE_ACCESSED | ahead, PAGE_AHEAD);
	}
}

/* Asks the program's write barrier, if this write is one that it wants to see. */
static enum outcome ask_on_write(struct vpager_region *region, uint32_t word, struct attempt *attempt)
{
	enum vpager_verdict verdict = VPAGER_VERDICT_OPEN;

	if ((word & PAGE_ARMED) && region->on_write)
		verdict = region->on_write(region->ctx, attempt->fault);
	if (verdict == VPAGER_VERDICT_OPEN)
		return OUTCOME_RESOLVED;
	if (verdict != VPAGER_VERDICT_RETRY)
		return fail(attempt, -EACCES);
	thread_self.repeats = 0; /* it comes back because the program says so */
	return OUTCOME_WAIT;
}

#define RUN_PAGES 64u /* most that is shown while the gate is held once */

/* Armed by a take as the first one is, which the caller has claimed: to be shown with it tells nothing untrue. */
static bool armed_alike(const struct vpager_region *region, size_t page, uint32_t word, uint32_t first, enum page_state to)
{
	const uint32_t written = PAGE_DIRTY | PAGE_WRITTEN;
	uint32_t now = region_now(region, page, word);

	if (page_claimed(word) || page_pins(word) || page_prot(now, page_state(now)) != page_prot(first, page_state(first)) ||
	    page_state(now) != page_state(first) || page_prot(now, to) != page_prot(first, to) || (word & PAGE_DENY_READ))
		return false;
	return to == PAGE_READABLE || ((word & written) == written && !(word & (PAGE_ARMED | PAGE_DENY_WRITE)));
}

/* In sequence, pages that were armed by a take come back in growing runs; inside the gate.  How many were claimed, with the first,
 * whose word was `seen` and is `before`, as it is true now. */
static size_t claim_run(struct vpager_region *region, size_t page, uint32_t seen, uint32_t before, enum page_state to)
{
	struct readahead ahead;
	size_t n = 1;

	if (page_state(seen) == page_state(before) && !(to == PAGE_WRITABLE && cow_pending(region, page)))
		return 1;
	ahead = readahead_begin(region, page);
	for (; !ahead.downward && n < ahead.window && n < RUN_PAGES && page + n < region->table.pages; n++) {
		uint32_t word = page_load(&region->table.word[page + n]);

		if (!armed_alike(region, page + n, word, before, to) || !page_claim(&region->table, page + n, &word, PAGE_CHANGING))
			break;
	}
	readahead_advance(region, &ahead, page, page, n);
	return n;
}

/* The claimed run, of pages that were all in the state of the first, is settled as `to`. */
static void settle_run(struct vpager_region *region, size_t page, size_t n, enum page_state from, enum page_state to)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t before = (page_load(&region->table.word[page + i]) & ~PAGE_STATE) | from;

		settle_shown(region, page + i, before, to, 0);
	}
}

static void settle_back(struct vpager_region *region, size_t page, size_t n, enum page_state from)
{
	for (size_t i = 0; i < n; i++)
		page_settle(&region->table, page + i, from, 0, 0);
}

/* It could not be shown.  Part of a run may be: it goes back, or is settled as what it is at the most. */
static void leave_run(struct vpager_region *region, size_t page, size_t n, uint32_t before, enum page_state to)
{
	enum page_state from = page_state(before);

	if (n > 1 && region->engine->protect(region, page, n, page_prot(before, to), page_prot(before, from))) {
		settle_run(region, page, n, from, to);
		return;
	}
	settle_back(region, page, n, from);
}

/* Pages that are about to be opened: nobody who was lent one reads on, and their bytes are kept.  In this order: who finds a page
 * kept takes the copy, and shows it. */
static int preserve_run(struct vpager_region *region, size_t page, size_t n)
{
	int err = lend_revoke(region, page, n);
	bool kept = false;

	if (err)
		return err;
	for (size_t i = 0; i < n; i++)
		if (!region->engine->leaves || !region->engine->leaves(region, page + i)) /* else it does so itself */
			kept |= cow_preserve(region, page + i);
	if (kept)
		count(&region->counters.cow_copies, 1);
	return 0;
}

/* The claimed run is settled in any case. */
static int show_run(struct vpager_region *region, size_t page, size_t n, uint32_t before, enum page_state to)
{
	int err = to == PAGE_WRITABLE ? preserve_run(region, page, n) : 0;

	if (err) {
		settle_back(region, page, n, page_state(before));
		return err;
	}
	err = region->engine->protect(region, page, n, page_prot(before, page_state(before)), page_prot(before, to));
	if (err)
		leave_run(region, page, n, before, to);
	else
		settle_run(region, page, n, page_state(before), to);
	return err;
}

/* Inside the gate from then on, the page claimed.  Or else what is to be done. */
static bool claim_inside(struct vpager_region *region, size_t page, uint32_t *seen, struct attempt *attempt, enum outcome *instead)
{
	*instead = OUTCOME_WAIT;
	attempt->ticket = wait_prepare(&region->gate);
	if (!gate_enter(&region->gate))
		return false;
	if (page_claim(&region->table, page, seen, PAGE_CHANGING))
		return true;
	gate_leave(&region->gate);
	*instead = OUTCOME_RESOLVED; /* somebody was faster: look again */
	return false;
}

/* A page whose bytes are here becomes visible as `to`.  Also for one that is visible as that already: reclaim by the kernel
 * takes mappings away without asking us, and applying the engine again is the cure. */
static enum outcome show(struct vpager_region *region, size_t page, uint32_t seen, enum page_state to, struct attempt *attempt)
{
	bool write = attempt->fault->access == VPAGER_ACCESS_WRITE || attempt->unsure;
	enum outcome instead;
	uint32_t before;
	size_t n;
	int err;

	if (to == PAGE_WRITABLE && page_state(seen) != PAGE_WRITABLE) {
		enum outcome asked = ask_on_write(region, seen, attempt);

		if (asked == OUTCOME_WAIT)
			return OUTCOME_RESOLVED; /* the instruction runs again */
		if (asked != OUTCOME_RESOLVED)
			return asked;
	}
	if (!claim_inside(region, page, &seen, attempt, &instead))
		return instead;
	if (attempt_over(attempt)) {
		page_settle(&region->table, page, page_state(seen), 0, 0);
		gate_leave(&region->gate);
		region_settled(region);
		return OUTCOME_RESOLVED;
	}
	before = region_now(region, page, seen);
	if (to == PAGE_WRITABLE && cow_pending(region, page)) { /* a copy only for a write */
		if (!write && (!attempt->fault->signo || !cow_guess_write(region))) /* signo: touched, not brought in by a call */
			to = PAGE_READABLE;
		else if (page_state(before) == PAGE_READABLE && shown_as(region, seen, VPAGER_ACCESS_READ) == PAGE_WRITABLE)
			cow_learn_write(region, page); /* might have been guessed */
	}
	n = claim_run(region, page, seen, before, to);
	err = show_run(region, page, n, before, to);
	gate_leave(&region->gate);
	region_settled(region);
	if (err)
		return fail(attempt, err);
	if (page_state(before) == PAGE_HIDDEN)
		count(&region->counters.soft_faults, n);
	return OUTCOME_RESOLVED;
}

/* A fault on a page that is lent: its lender wants it back, or it is written to.  It gets bytes of its own. */
static enum outcome own(struct vpager_region *region, size_t page, uint32_t seen, struct attempt *attempt)
{
	enum outcome instead;
	int err;

	if (!claim_inside(region, page, &seen, attempt, &instead))
		return instead;
	do
		err = lend_end(region, page, 0, 0);
	while (err == -ENOMEM && vma_relieve(region, VMA_RELIEF) > 0);
	if (err)
		page_settle(&region->table, page, page_state(seen), 0, 0);
	gate_leave(&region->gate);
	region_settled(region);
	if (err)
		return fail(attempt, err);
	seen = page_load(&region->table.word[page]);
	attempt->own = true;
	return page_state(seen) == PAGE_ABSENT ? fill_absent(region, page, seen, attempt) : OUTCOME_RESOLVED;
}

/* Whether the access is allowed at all.  An access of unknown kind to a page that can be read already must be a write. */
static bool allowed(const struct vpager_region *region, uint32_t word, const struct attempt *attempt)
{
	enum vpager_access access = attempt->fault->access;

	if (word & PAGE_DENY_READ)
		return false;
	if (access == VPAGER_ACCESS_EXEC)
		return word & PAGE_EXECUTABLE;
	if (access == VPAGER_ACCESS_WRITE || (attempt->unsure && page_state(word) == PAGE_READABLE))
		return may_write(region, word);
	return true;
}

enum outcome region_attempt(struct vpager_region *region, size_t page, struct attempt *attempt)
{
	page_word *word = &region->table.word[page];
	enum vpager_access access = attempt->fault->access;
	uint32_t seen = page_load(word), now = region_now(region, page, seen);

	if (page_claimed(seen)) {
		count(&region->counters.retries, 1);
		return page_await(word, &attempt->ticket) ? OUTCOME_WAIT : OUTCOME_RESOLVED;
	}
	if (attempt->waited && (seen & PAGE_FAILED))
		return fail(attempt, -(int)(seen >> PAGE_PIN_SHIFT));
	if (!allowed(region, now, attempt))
		return fail(attempt, -EACCES);
	if (page_lent(region, seen))
		return own(region, page, seen, attempt);
	switch (page_state(now)) {
	case PAGE_ABSENT:
		return fill_absent(region, page, seen, attempt);
	case PAGE_HIDDEN:
		return show(region, page, seen, shown_as(region, seen, access), attempt);
	case PAGE_READABLE:
		if (access == VPAGER_ACCESS_WRITE || attempt->unsure)
			return show(region, page, seen, PAGE_WRITABLE, attempt);
		return show(region, page, seen, PAGE_READABLE, attempt);
	default:
		return show(region, page, seen, PAGE_WRITABLE, attempt);
	}
}

/* What the page's state says about the fault, which outweighs what the kernel said.  Permission comes first. */
static void classify_by_page(struct vpager_fault *fault, uint32_t word, bool unsure, bool denied)
{
	if (denied && fault->access == VPAGER_ACCESS_EXEC) {
		fault->reason = VPAGER_FAULT_EXECUTE_NO_EXECUTE;
	} else if (denied && fault->access == VPAGER_ACCESS_WRITE) {
		fault->reason = VPAGER_FAULT_WRITE_TO_READ_ONLY;
	} else if (denied && !page_visible(word)) {
		fault->reason = VPAGER_FAULT_PROTECTION_VIOLATION;
	} else if (!page_visible(word)) {
		fault->reason = VPAGER_FAULT_NOT_PRESENT;
	} else if (fault->access == VPAGER_ACCESS_WRITE && page_state(word) == PAGE_READABLE) {
		fault->reason = VPAGER_FAULT_WRITE_TO_READ_ONLY; /* whatever the CPU's status says, or an emulator leaves out */
	} else if (fault->access == VPAGER_ACCESS_UNKNOWN && unsure && page_state(word) == PAGE_READABLE) {
		fault->access = VPAGER_ACCESS_WRITE;
		fault->evidence = VPAGER_EVIDENCE_PAGE_STATE;
		fault->was_write = true;
		fault->reason = VPAGER_FAULT_WRITE_TO_READ_ONLY;
	}
}

/* The program counter is in the page and code may not run there: that is what faulted, though the CPU does not say. */
static void see_fetch(const struct vpager_region *region, struct vpager_fault *fault, uint32_t word)
{
	uintptr_t apart = fault->instruction_pointer ^ fault->faulting_address;

	if (fault->access != VPAGER_ACCESS_UNKNOWN || (word & PAGE_EXECUTABLE) || apart >> region->page_shift)
		return;
	fault->access = VPAGER_ACCESS_EXEC;
	fault->evidence = VPAGER_EVIDENCE_PAGE_STATE;
}

/* How often this very fault came back although the page was visible and nothing was hidden since. */
static uint32_t repeats(const struct vpager_region *region, const struct vpager_fault *fault, uint32_t word)
{
	struct thread *self = &thread_self;
	uint32_t hidings = atomic_load_explicit(&region->hidings, memory_order_acquire);

	if (page_visible(word) && self->last_hidings == hidings && self->last_pc == fault->instruction_pointer &&
	    self->last_address == fault->faulting_address)
		self->repeats++;
	else
		self->repeats = 0;
	self->last_hidings = hidings;
	self->last_pc = fault->instruction_pointer;
	self->last_address = fault->faulting_address;
	return self->repeats;
}

/* An access of unknown kind to a page that can be read is a write, or has just been overtaken by another thread: where
 * writing is forbidden, only the second time it is taken for one.  A CPU or an emulator that calls a write a read would bring
 * it back for ever, hence the doubt about reads. */
static bool may_be_write(const struct vpager_region *region, enum vpager_access access, uint32_t word, uint32_t again)
{
	if (access == VPAGER_ACCESS_UNKNOWN)
		return may_write(region, word) || again >= 2;
	return access == VPAGER_ACCESS_READ && may_write(region, word) && again >= 2;
}

static enum outcome failed(struct vpager_region *region, const struct vpager_fault *fault, const ucontext_t *uc)
{
	if (region->on_error && !landing_find(uc) && region->on_error(region->ctx, fault) == VPAGER_VERDICT_RETRY)
		return OUTCOME_RESOLVED;
	return OUTCOME_FAILED;
}

/* Raised for a page of ours, but not because it is hidden or closed: memory that failed, a protection key. */
static bool not_paging(const struct vpager_fault *fault)
{
	return fault->signo == SIGBUS ? fault->si_code != BUS_ADRERR : fault->si_code == SEGV_PKUERR;
}

enum outcome region_fault(struct object *object, struct vpager_fault *fault, const ucontext_t *uc, bool waited,
                          struct wait_ticket *ticket)
{
	struct vpager_region *region = region_of(object);
	size_t page = (fault->faulting_address - object->base) >> region->page_shift;
	struct attempt attempt = {.fault = fault, .waited = waited};
	enum outcome outcome;
	uint32_t word, again;

	if (not_paging(fault))
		return OUTCOME_FOREIGN;
	fault->origin = VPAGER_ORIGIN_REGION;
	fault->object = region;
	if (atomic_load_explicit(&region->life, memory_order_relaxed) == REGION_GONE) { /* set before any other thread exists */
		fault->error = -ESTALE;
		return OUTCOME_FAILED;
	}
	word = region_now(region, page, page_load(&region->table.word[page]));
	see_fetch(region, fault, word);
	if (word & PAGE_AHEAD)
		page_flags(&region->table.word[page], 0, PAGE_AHEAD); /* read ahead for this one */
	if (waited)
		thread_self.repeats = 0; /* something changed while it slept */
	if (waited && page_visible(word))
		return OUTCOME_RESOLVED; /* what we slept for */
	again = waited ? 0 : repeats(region, fault, word);
	if (again >= REPEATS_FOREIGN)
		return OUTCOME_FOREIGN;
	attempt.unsure = may_be_write(region, fault->access, word, again);
	if (!waited) {
		classify_by_page(fault, word, attempt.unsure, !allowed(region, word, &attempt));
		count(&region->counters.faults, 1);
		count(&region->counters.reasons[fault->reason], 1);
	}
	if (page_visible(word) && again == 0 && !attempt.unsure && fault->access != VPAGER_ACCESS_WRITE &&
	    !(fault->access == VPAGER_ACCESS_EXEC && !(word & PAGE_EXECUTABLE))) {
		count(&region->counters.retries, 1);
		return OUTCOME_RESOLVED; /* another thread just showed it */
	}
	/* Store code for which a reader has tried: were it asked again at each level of a chain of stores, the last one would be asked as
	 * often as the chain is long, at the least. */
	attempt.waited = waited || inside_told(&region->table.word[page]);
	outcome = region_attempt(region, page, &attempt);
	*ticket = attempt.ticket;
	return outcome == OUTCOME_FAILED ? failed(region, fault, uc) : outcome;
}
