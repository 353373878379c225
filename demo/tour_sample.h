/* SPDX-License-Identifier: MIT
 *
 * A file for the tour when the user names none. */
#ifndef TOUR_SAMPLE_H
#define TOUR_SAMPLE_H

/* The path of a large regular file that can be read, to be freed; NULL: there is none.  *what: why it is this one. */
char *sample_file(const char **what);

#endif
