/* SPDX-License-Identifier: MIT
 *
 * Tiny classes, powers of two, as the earlier allocator had them but for its class of 8 bytes, whose blocks could not
 * be aligned to 16. 7 classes; the class groups C2, C4 and C6 have none. Mean waste for uniform sizes up to 1000
 * bytes: 34.8 %. Mid classes are those of the other choices, so that a comparison shows the tiny classes alone. One
 * list of four, of which -Dclasses picks one. Included by superslab/size_class.h only.
 */
#ifndef HK_SUPERSLAB_SIZE_CLASS_LIST_H
#define HK_SUPERSLAB_SIZE_CLASS_LIST_H

#define HK_TINY_CLASSES(X, n) X(16, n) X(32, n) X(64, n) X(128, n) X(256, n) X(512, n) X(1024, n)

#endif
