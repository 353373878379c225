/* SPDX-License-Identifier: MIT
 *
 * What the world may link against.  Everything is built with -fvisibility=hidden; a function of vpager.h carries
 * VPAGER_EXPORT at its definition, nothing else does. */
#ifndef VPAGER_CORE_EXPORT_H
#define VPAGER_CORE_EXPORT_H

#define VPAGER_EXPORT __attribute__((visibility("default")))

#endif
