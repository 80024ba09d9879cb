/* SPDX-License-Identifier: MIT
 *
 * section, aarch64: the restartable sequences; front_box.h says what each does, and has asserted where things are in a
 * head and in an area. Included by front/percpu/front_box.h only.
 *
 * Who synchronises: the kernel. Must not know more of a shelf than a head. (Assembled, and never run.)
 */
#ifndef HK_SECTION_H
#define HK_SECTION_H

/* A sequence: from label 1 on, to which the kernel leads back by way of label 9, to label 3. What lies between 2 and 3
 * is begun anew; only the instruction before 3 changes what others read. `c` is the processor, or then the class's
 * head. */
#define HK_SECTION_BEGIN                                                                                        \
    ".pushsection .data.rel.ro.hk_section, \"aw\"\n" /* what the kernel wants to know of it (struct rseq_cs) */ \
    ".balign 32\n"                                                                                              \
    "8: .long 0, 0\n"                                                                                           \
    ".quad 2f, 3f - 2f, 9f\n"                                                                                   \
    ".popsection\n"                                                                                             \
    ".pushsection .text.unlikely, \"ax\"\n"                                                                     \
    ".long 0xd428bc00\n" /* the number that glibc has told the kernel, so that it leads nowhere else */         \
    "9: b 1f\n"                                                                                                 \
    ".popsection\n"                                                                                             \
    "1: adrp %[c], 8b\n"                                                                                        \
    "add %[c], %[c], :lo12:8b\n"                                                                                \
    "str %[c], [%[area], 8]\n"                                                                                  \
    "2: ldr %w[c], [%[area], 4]\n"

#define HK_SECTION_HEAD HK_SECTION_BEGIN "ldr %[c], [%[table], %[c], lsl 3]\nadd %[c], %[c], %[at]\n"

static HK_ALWAYS_INLINE bool hk_section_pop(struct hk_shelf *_Atomic *table, uintptr_t at, void **block)
{
    uintptr_t c = 0, b = 0, x = 0; /* no checker knows what `goto` sets */
    __asm__ volatile goto(HK_SECTION_HEAD "ldr %[b], [%[c]]\n"
                                          "ldrh %w[x], [%[c], 8]\n"
                                          "cmp %w[x], %w[b], uxth\n"
                                          "b.eq %l[empty]\n"
                                          "ldr %[x], [%[b]], -8\n"
                                          "str %[b], [%[c]]\n"
                                          "3:\n"
                          : [c] "=&r"(c), [b] "=&r"(b), [x] "=&r"(x)
                          : [table] "r"(table), [at] "r"(at), [area] "r"(hk_rseq_area())
                          : "cc", "memory"
                          : empty);
    *block = (void *)x;
    return true;
empty:
    return false;
}

static HK_ALWAYS_INLINE bool hk_section_push(struct hk_shelf *_Atomic *table, uintptr_t at, void *block)
{
    uintptr_t c = 0, b = 0, x = 0; /* no checker knows what `goto` sets */
    __asm__ volatile goto(HK_SECTION_HEAD "ldr %[b], [%[c]]\n"
                                          "ldrh %w[x], [%[c], 10]\n"
                                          "cmp %w[x], %w[b], uxth\n"
                                          "b.eq %l[full]\n"
                                          "str %[block], [%[b], 8]!\n"
                                          "str %[b], [%[c]]\n"
                                          "3:\n"
                          : [c] "=&r"(c), [b] "=&r"(b), [x] "=&r"(x)
                          : [table] "r"(table), [at] "r"(at), [area] "r"(hk_rseq_area()), [block] "r"(block)
                          : "cc", "memory"
                          : full);
    return true;
full:
    return false;
}

static inline unsigned hk_section_push_many(struct hk_shelf *_Atomic *table, uintptr_t at, void *const *blocks,
                                            unsigned n)
{
    uintptr_t c, b, k, i, x;
    __asm__ volatile(HK_SECTION_HEAD "ldr %[b], [%[c]]\n"
                                     "ldrh %w[k], [%[c], 10]\n"
                                     "sub %w[k], %w[k], %w[b]\n"
                                     "ubfx %w[k], %w[k], 3, 13\n"
                                     "cmp %w[k], %w[n]\n"
                                     "csel %w[k], %w[k], %w[n], ls\n"
                                     "cbz %w[k], 3f\n"
                                     "mov %[i], 0\n"
                                     "4: ldr %[x], [%[blocks], %[i], lsl 3]\n"
                                     "str %[x], [%[b], 8]!\n"
                                     "add %[i], %[i], 1\n"
                                     "cmp %w[i], %w[k]\n"
                                     "b.ne 4b\n"
                                     "str %[b], [%[c]]\n"
                                     "3:\n"
                     : [c] "=&r"(c), [b] "=&r"(b), [k] "=&r"(k), [i] "=&r"(i), [x] "=&r"(x)
                     : [table] "r"(table), [at] "r"(at), [area] "r"(hk_rseq_area()), [blocks] "r"(blocks), [n] "r"(n)
                     : "cc", "memory");
    return (unsigned)k;
}

static inline unsigned hk_section_pop_many(struct hk_shelf *_Atomic *table, uintptr_t at, void **blocks, unsigned n)
{
    uintptr_t c, b, k, i, x;
    __asm__ volatile(HK_SECTION_HEAD "ldr %[b], [%[c]]\n"
                                     "ldrh %w[k], [%[c], 8]\n"
                                     "sub %w[k], %w[b], %w[k]\n"
                                     "ubfx %w[k], %w[k], 3, 13\n"
                                     "cmp %w[k], %w[n]\n"
                                     "csel %w[k], %w[k], %w[n], ls\n"
                                     "cbz %w[k], 3f\n"
                                     "mov %w[i], %w[k]\n"
                                     "4: ldr %[x], [%[b]], -8\n"
                                     "sub %[i], %[i], 1\n"
                                     "str %[x], [%[blocks], %[i], lsl 3]\n"
                                     "cbnz %[i], 4b\n"
                                     "str %[b], [%[c]]\n"
                                     "3:\n"
                     : [c] "=&r"(c), [b] "=&r"(b), [k] "=&r"(k), [i] "=&r"(i), [x] "=&r"(x)
                     : [table] "r"(table), [at] "r"(at), [area] "r"(hk_rseq_area()), [blocks] "r"(blocks), [n] "r"(n)
                     : "cc", "memory");
    return (unsigned)k;
}

static inline unsigned hk_section_take(struct hk_shelf *_Atomic *table, struct hk_shelf *none, struct hk_shelf **shelf)
{
    uintptr_t c, x, failed;
    struct hk_shelf *b;
    __asm__ volatile(HK_SECTION_BEGIN "add %[x], %[table], %[c], lsl 3\n"
                                      "ldaxr %[b], [%[x]]\n"
                                      "stlxr %w[failed], %[none], [%[x]]\n"
                                      "3: cbnz %w[failed], 1b\n"
                     : [c] "=&r"(c), [b] "=&r"(b), [x] "=&r"(x), [failed] "=&r"(failed)
                     : [table] "r"(table), [area] "r"(hk_rseq_area()), [none] "r"(none)
                     : "memory");
    *shelf = b;
    return (unsigned)c;
}

#endif
