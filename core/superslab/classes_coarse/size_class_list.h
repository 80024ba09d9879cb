/* SPDX-License-Identifier: MIT
 *
 * Tiny classes, coarse: steps of 16 bytes to 128, then four per doubling. 20 classes, two to four in each class
 * group. Mean waste for uniform sizes up to 1000 bytes: 8.6 %. One list of four, of which -Dclasses picks one. Included
 * by superslab/size_class.h only.
 */
#ifndef HK_SUPERSLAB_SIZE_CLASS_LIST_H
#define HK_SUPERSLAB_SIZE_CLASS_LIST_H

#define HK_TINY_CLASSES(X, n) \
    HK_EIGHT(X, n, 16, 16) HK_FOUR(X, n, 160, 32) HK_FOUR(X, n, 320, 64) HK_FOUR(X, n, 640, 128)

#endif
