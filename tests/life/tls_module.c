/* SPDX-License-Identifier: MIT
 *
 * A library with TLS_BYTES of thread-local storage: when it is dlopened, glibc takes each thread's copy from malloc at
 * the first use and frees it when the thread's stack is given back.
 */
#include <stddef.h>

void *tls_space(size_t *size);

static __thread unsigned char space[TLS_BYTES];

void *tls_space(size_t *size)
{
    *size = sizeof(space);
    return space;
}
