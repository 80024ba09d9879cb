/* SPDX-License-Identifier: MIT
 *
 * What a test needs of the machine that an emulator of processes (qemu-user) does not have. Nothing here allocates.
 * Each is tried, none is known by name; where it is not there the test ends with 77 and says what is not. `lacks_` is
 * the same as a question: NULL, or what is not there.
 */
#ifndef HK_TEST_NEEDS_H
#define HK_TEST_NEEDS_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The limit of the address space is felt. */
const char *lacks_address_limit(void);
void need_address_limit(void);

/* The memory of the process is the program's own: what the system says of its size is what its maps show. Else an
 * emulator is in it, which takes memory as it likes, may keep a word for each page that is reserved, has threads of its
 * own, and locks that are held for ever in the child of a thread that forked while another one did. */
const char *lacks_own_memory(void);
void need_own_memory(void);
bool memory_is_own(void); /* or prints that a bound of memory is not looked at, and why */

/* A program of this kind can be executed. */
const char *lacks_execution(void);
void need_execution(void);

/* A process can be traced. */
void need_tracing(void);

/* A filter of system calls can be installed. */
void need_filters(void);

/* MAP_FIXED_NOREPLACE says where somebody is. */
const char *lacks_exact_places(void);

#ifdef __cplusplus
}
#endif

#endif
