/* SPDX-License-Identifier: MIT
 *
 * Tiny classes, dense: steps of 16 bytes all the way. 64 classes, four to sixteen in each class group. Mean waste for
 * uniform sizes up to 1000 bytes: 1.5 %, but a thread has twice as many slabs in use as with 32. Static thread-local
 * memory is then 1664 bytes, all that glibc keeps for libraries that are dlopened; with -Dtls=pointer it is 8. One
 * list of four, of which -Dclasses picks one. Included by superslab/size_class.h only.
 */
#ifndef HK_SUPERSLAB_SIZE_CLASS_LIST_H
#define HK_SUPERSLAB_SIZE_CLASS_LIST_H

#define HK_TINY_CLASSES(X, n) \
    HK_EIGHT(X, n, 16, 16)    \
    HK_EIGHT(X, n, 144, 16)   \
    HK_EIGHT(X, n, 272, 16)   \
    HK_EIGHT(X, n, 400, 16)   \
    HK_EIGHT(X, n, 528, 16) HK_EIGHT(X, n, 656, 16) HK_EIGHT(X, n, 784, 16) HK_EIGHT(X, n, 912, 16)

#endif
