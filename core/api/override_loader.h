/* SPDX-License-Identifier: MIT
 *
 * override_loader: the C library's own functions, by their names, for those of ours that stand before the loader's.
 *
 * They are read from the C library's tables, and nobody is called for it: dlsym and dlvsym themselves may be another
 * library's, which stands before us and goes on to us. In libhakmem.so only. Any thread, no lock: the C library comes
 * with the program, and what is opened and closed later stands behind it in the loader's list. Of several namespaces
 * (dlmopen) that is the program's C library.
 */
#ifndef HK_API_OVERRIDE_LOADER_H
#define HK_API_OVERRIDE_LOADER_H

#include "base/compiler.h"

typedef void *hk_find_function(void *library, const char *name);

/* A function of the C library, in the version that programs are linked with today; NULL: it has none of that name. */
HK_HIDDEN void *hk_loader_own(const char *name);

/* The C library's own dlsym. RTLD_NEXT with it is what comes behind libhakmem.so. NULL: there is none. */
HK_HIDDEN hk_find_function *hk_loader_own_dlsym(void);

#endif
