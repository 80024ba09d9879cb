/* SPDX-License-Identifier: MIT
 *
 * Tiny classes, fine: steps of 16 bytes to 256, 32 to 512, 64 to 1024. 32 classes, four in each class group. Mean
 * waste for uniform sizes up to 1000 bytes: 4.3 %. One list of four, of which -Dclasses picks one. Included by
 * superslab/size_class.h only.
 */
#ifndef HK_SUPERSLAB_SIZE_CLASS_LIST_H
#define HK_SUPERSLAB_SIZE_CLASS_LIST_H

#define HK_TINY_CLASSES(X, n) \
    HK_EIGHT(X, n, 16, 16) HK_EIGHT(X, n, 144, 16) HK_EIGHT(X, n, 288, 32) HK_EIGHT(X, n, 576, 64)

#endif
