/* SPDX-License-Identifier: MIT
 *
 * malloc_trim. glibc's too, but programs look for it by its name on whatever C library they are. Left out with
 * -Doverride=false.
 */
#include "base/compiler.h"
#include "hakmem/hakmem.h"

HK_EXPORT int malloc_trim(size_t pad);
HK_EXPORT int malloc_trim(size_t pad)
{
    return hak_trim(pad);
}
