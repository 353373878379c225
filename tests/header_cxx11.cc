/* SPDX-License-Identifier: MIT
 *
 * A C++11 program that includes nothing before or beside vpager.h; tests/header_cxx11.sh builds it. */
#include <vpager.h>

int main()
{
	vpager_fault fault = vpager_fault();
	vpager_region_options region = vpager_region_options();
	vpager_store_ops ops = vpager_store_ops();

	region.on_error = [](void *, const vpager_fault *) { return VPAGER_VERDICT_FAIL; };
	ops.read = [](void *, uint64_t, void *, size_t) { return 0; };
	if (region.on_error(nullptr, &fault) != VPAGER_VERDICT_FAIL || ops.read(nullptr, 0, nullptr, 0) != 0)
		return 2;
	fault.size = sizeof fault;
	vpager_fault_from_x86_64(7, 0x1000, 0x2000, &fault);
	return fault.reason == VPAGER_FAULT_WRITE_TO_READ_ONLY && fault.was_write ? 0 : 1;
}
