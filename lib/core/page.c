/* SPDX-License-Identifier: MIT
 *
 * The page state machine: the table of legal transitions, and the only code that writes page words.  Runs in the handler. */
#include "page.h"

#define TO(state) (1u << (state))

/* legal[from]: where a word may go.  The first four are settled, and only a claim leads out of them. */
static const uint8_t legal[8] = {
    [PAGE_ABSENT] = TO(PAGE_FILLING) | TO(PAGE_CHANGING),
    [PAGE_HIDDEN] = TO(PAGE_CHANGING) | TO(PAGE_WRITING) | TO(PAGE_EVICTING),
    [PAGE_READABLE] = TO(PAGE_CHANGING) | TO(PAGE_WRITING) | TO(PAGE_EVICTING),
    [PAGE_WRITABLE] = TO(PAGE_CHANGING) | TO(PAGE_WRITING) | TO(PAGE_EVICTING),
    [PAGE_FILLING] = TO(PAGE_ABSENT) | TO(PAGE_HIDDEN) | TO(PAGE_READABLE) | TO(PAGE_WRITABLE),
    [PAGE_CHANGING] = TO(PAGE_ABSENT) | TO(PAGE_HIDDEN) | TO(PAGE_READABLE) | TO(PAGE_WRITABLE),
    [PAGE_WRITING] = TO(PAGE_HIDDEN) | TO(PAGE_READABLE) | TO(PAGE_WRITABLE),
    [PAGE_EVICTING] = TO(PAGE_ABSENT) | TO(PAGE_HIDDEN) | TO(PAGE_READABLE) | TO(PAGE_WRITABLE),
};

static void check(enum page_state from, enum page_state to)
{
	if (!(legal[from] & TO(to)))
		__builtin_trap(); /* a page would be lost or torn: stop here */
}

static void use(_Atomic(uint32_t) *counter)
{
	if (!(atomic_load_explicit(counter, memory_order_relaxed) & GROUP_USED))
		atomic_fetch_or_explicit(counter, GROUP_USED, memory_order_release); /* as the counts: before it leaves ABSENT */
}

void page_table_use(struct page_table *table, size_t page)
{
	use(&table->cluster[page / GROUP_PAGES / GROUP_PAGES]);
	use(&table->group[page / GROUP_PAGES]);
}

static void count(struct page_table *table, size_t page, int delta)
{
	if (delta > 0)
		page_table_use(table, page);
	/* Up before the page leaves ABSENT and down after it is back, the cluster outside the group: whoever skips what counts
	 * 0 misses no page that was there before it looked. */
	if (delta > 0)
		atomic_fetch_add_explicit(&table->cluster[page / GROUP_PAGES / GROUP_PAGES], (uint32_t)delta, memory_order_release);
	atomic_fetch_add_explicit(&table->group[page / GROUP_PAGES], (uint32_t)delta, memory_order_release);
	if (delta < 0)
		atomic_fetch_add_explicit(&table->cluster[page / GROUP_PAGES / GROUP_PAGES], (uint32_t)delta, memory_order_release);
}

bool page_claim(struct page_table *table, size_t page, uint32_t *seen, enum page_state claim)
{
	bool was_absent = page_state(*seen) == PAGE_ABSENT;
	uint32_t claimed = (*seen & ~PAGE_STATE) | claim;

	check(page_state(*seen), claim);
	if (*seen & PAGE_FAILED)
		claimed &= ~(PAGE_FAILED | PAGE_PINS);
	if (was_absent)
		count(table, page, 1);
	/* acquire: the last owner's work on the bytes comes before ours */
	if (atomic_compare_exchange_strong_explicit(&table->word[page], seen, claimed, memory_order_acquire, memory_order_acquire))
		return true;
	if (was_absent)
		count(table, page, -1);
	return false;
}

void page_settle(struct page_table *table, size_t page, enum page_state to, uint32_t set, uint32_t clear)
{
	page_word *word = &table->word[page];
	uint32_t seen = atomic_load_explicit(word, memory_order_relaxed), settled;

	check(page_state(seen), to);
	/* Others may count pins and set WAITERS meanwhile, hence the loop.  release: our work comes before the next owner's */
	do
		settled = ((seen & ~(PAGE_STATE | PAGE_WAITERS | clear)) | to) | set;
	while (!atomic_compare_exchange_weak_explicit(word, &seen, settled, memory_order_release, memory_order_relaxed));
	if (to == PAGE_ABSENT)
		count(table, page, -1);
	if (seen & PAGE_WAITERS)
		wait_wake((const void *)word);
}

void page_settle_failed(struct page_table *table, size_t page, int error)
{
	page_settle(table, page, PAGE_ABSENT, PAGE_FAILED | (uint32_t)-error << PAGE_PIN_SHIFT, 0);
}

bool page_await(page_word *word, struct wait_ticket *ticket)
{
	uint32_t seen;

	*ticket = wait_prepare((const void *)word);
	seen = atomic_load_explicit(word, memory_order_relaxed);
	do
		if (!page_claimed(seen))
			return false;
	while (!atomic_compare_exchange_weak_explicit(word, &seen, seen | PAGE_WAITERS, memory_order_relaxed, memory_order_relaxed));
	/* relaxed is enough: the bit is set in the word's own order, before the owner's settle, which then wakes us */
	return true;
}

bool page_pin(page_word *word, uint32_t *seen)
{
	/* acquire: the pinned bytes are whole */
	return atomic_compare_exchange_strong_explicit(word, seen, *seen + (1u << PAGE_PIN_SHIFT), memory_order_acquire,
	                                               memory_order_acquire);
}

int page_unpin(page_word *word)
{
	uint32_t seen = atomic_load_explicit(word, memory_order_relaxed);

	do
		if (page_pins(seen) == 0)
			return -1;
	/* release: what the pin was for is done before anybody may hide the page */
	while (!atomic_compare_exchange_weak_explicit(word, &seen, seen - (1u << PAGE_PIN_SHIFT), memory_order_release,
	                                              memory_order_relaxed));
	return (int)page_pins(seen) - 1;
}

void page_flags(page_word *word, uint32_t set, uint32_t clear)
{
	/* hints, which order nothing */
	if (set)
		atomic_fetch_or_explicit(word, set, memory_order_relaxed);
	if (clear)
		atomic_fetch_and_explicit(word, ~clear, memory_order_relaxed);
}

static size_t groups_of(size_t pages)
{
	return (pages + GROUP_PAGES - 1) / GROUP_PAGES;
}

size_t page_table_bytes(size_t pages)
{
	size_t groups = groups_of(pages);

	return (pages + groups + groups_of(groups)) * sizeof(uint32_t);
}

void page_table_init(struct page_table *table, void *memory, size_t pages)
{
	table->word = memory;
	table->group = table->word + pages;
	table->cluster = table->group + groups_of(pages);
	table->pages = pages;
}

static uint32_t counted(const _Atomic(uint32_t) *counter, uint32_t mask)
{
	return atomic_load_explicit(counter, memory_order_acquire) & mask;
}

size_t page_table_count(const struct page_table *table)
{
	size_t present = 0;

	for (size_t i = 0; i < groups_of(groups_of(table->pages)); i++)
		present += counted(&table->cluster[i], ~GROUP_USED); /* an estimate while others work */
	return present;
}

/* `from`, or the first page of the next group that counts anything under the mask. */
static size_t next_counted(const struct page_table *table, size_t from, uint32_t mask)
{
	size_t page = from;

	while (page < table->pages) {
		if (page % (GROUP_PAGES * GROUP_PAGES) == 0 && !counted(&table->cluster[page / GROUP_PAGES / GROUP_PAGES], mask))
			page += (size_t)GROUP_PAGES * GROUP_PAGES;
		else if (page % GROUP_PAGES == 0 && !counted(&table->group[page / GROUP_PAGES], mask))
			page += GROUP_PAGES;
		else
			return page;
	}
	return table->pages;
}

size_t page_table_next(const struct page_table *table, size_t from)
{
	size_t page = next_counted(table, from, ~GROUP_USED);

	while (page < table->pages &&
	       page_state(atomic_load_explicit(&table->word[page], memory_order_relaxed)) == PAGE_ABSENT)
		page = next_counted(table, page + 1, ~GROUP_USED);
	return page;
}

size_t page_table_next_used(const struct page_table *table, size_t from)
{
	return next_counted(table, from, UINT32_MAX);
}
