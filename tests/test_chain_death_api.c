/* SPDX-License-Identifier: MIT
 *
 * The scenarios of test_chain_death.c with the whole library, through vpager.h alone. */
#define CHAIN_SUBJECT_API 1
#include "test_chain_death.c"
