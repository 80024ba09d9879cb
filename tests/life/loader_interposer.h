/* SPDX-License-Identifier: MIT
 *
 * What loader_interposer.c counts, for loader_interposed.c.
 */
#ifndef HK_TEST_LOADER_INTERPOSER_H
#define HK_TEST_LOADER_INTERPOSER_H

enum loader_interposer_name {
    LOADER_INTERPOSER_dlsym,
    LOADER_INTERPOSER_dlopen,
    LOADER_INTERPOSER_dlmopen,
    LOADER_INTERPOSER_NAMES
};

extern _Atomic unsigned loader_interposer_calls[LOADER_INTERPOSER_NAMES]; /* that came back */

#endif
