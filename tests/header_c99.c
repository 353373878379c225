/* SPDX-License-Identifier: MIT
 *
 * A C99 program that includes nothing before or beside vpager.h; tests/header_c99.sh builds it. */
#include <vpager.h>

#define STRING(x) #x
#define VALUE(x) STRING(x)

static int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

int main(void)
{
	static const char version[] =
	    VALUE(VPAGER_VERSION_MAJOR) "." VALUE(VPAGER_VERSION_MINOR) "." VALUE(VPAGER_VERSION_PATCH);
	struct vpager_options options = {sizeof options, 0, 0, 0, 0};
	struct vpager_region_options region = {0};
	struct vpager_fault fault = {0};

	(void)options;
	(void)region;
	fault.size = sizeof fault;
	vpager_fault_from_x86_64(7, 0x1000, 0x2000, &fault);
	if (fault.reason != VPAGER_FAULT_WRITE_TO_READ_ONLY || !fault.was_write)
		return 1;
	return same(version, EXPECTED) ? 0 : 2;
}
