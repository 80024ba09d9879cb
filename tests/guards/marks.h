/* SPDX-License-Identifier: MIT
 *
 * marks: where a thread's steady work begins and ends. What is counted between them depends on the source that is
 * linked: marks_calls.c or marks_locks.c.
 */
#ifndef HK_TEST_GUARDS_MARKS_H
#define HK_TEST_GUARDS_MARKS_H

/* The calling thread is counted from here to there. */
void mark_begin(void);
void mark_end(void);

/* The calling thread is counted as a whole: it was made between the marks of another. First thing. */
void mark_all(void);

/* Prints what was counted. All other threads have ended. */
void mark_show(void);

#endif
