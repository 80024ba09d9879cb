/* SPDX-License-Identifier: MIT
 *
 * A program that itself calls neither hakmem nor malloc: only the C library allocates, for the buffer of stdout. */
#include <stdio.h>

int main(void)
{
    return puts("plain") < 0;
}
