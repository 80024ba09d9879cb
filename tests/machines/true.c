/* SPDX-License-Identifier: MIT
 *
 * true, for a C library whose programs are not installed: what tests start as a child, with the same preload.
 */
int main(void)
{
    return 0;
}
