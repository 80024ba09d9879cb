/* SPDX-License-Identifier: MIT
 *
 * section, x86-64: the restartable sequences; front_box.h says what each does, and has asserted where things are in a
 * head and in an area. Included by front/percpu/front_box.h only.
 *
 * Who synchronises: the kernel. Must not know more of a shelf than a head.
 */
#ifndef HK_SECTION_H
#define HK_SECTION_H

/* A sequence: from label 1 on, to which the kernel leads back by way of label 9, to label 3. What lies between 2 and 3
 * is begun anew; only the instruction before 3 changes what others read. `c` is the processor, or then its shelf. */
#define HK_SECTION_BEGIN                                                                                           \
    ".pushsection .data.rel.ro.hk_section, \"aw\"\n" /* what the kernel wants to know of it (struct rseq_cs) */    \
    ".balign 32\n"                                                                                                 \
    "8: .long 0, 0\n"                                                                                              \
    ".quad 2f, 3f - 2f, 9f\n"                                                                                      \
    ".popsection\n"                                                                                                \
    ".pushsection .text.unlikely, \"ax\"\n"                                                                        \
    ".byte 0x0f, 0xb9, 0x3d\n" /* no instruction: it ends in the number that glibc has told the kernel, so that */ \
    ".long 0x53053053\n"       /* it leads nowhere else */                                                         \
    "9: jmp 1f\n"                                                                                                  \
    ".popsection\n"                                                                                                \
    "1: leaq 8b(%%rip), %[c]\n"                                                                                    \
    "movq %[c], %%fs:8(%[area])\n"                                                                                 \
    "2: movl %%fs:4(%[area]), %k[c]\n"

#define HK_SECTION_SHELF HK_SECTION_BEGIN "movq (%[table],%[c],8), %[c]\n"

static HK_ALWAYS_INLINE bool hk_section_pop(struct hk_shelf *_Atomic *table, uintptr_t at, void **block)
{
    uintptr_t c = 0; /* as b: no checker knows what `goto` sets */
    void *b = NULL;
    __asm__ volatile goto(HK_SECTION_SHELF "movq (%[c],%[at]), %[b]\n"
                                           "cmpw %w[b], 8(%[c],%[at])\n"
                                           "je %l[empty]\n"
                                           "movq (%[b]), %[b]\n"
                                           "subq $8, (%[c],%[at])\n"
                                           "3:\n"
                          : [c] "=&r"(c), [b] "=&r"(b)
                          : [table] "r"(table), [at] "r"(at), [area] "r"(hk_rseq_offset)
                          : "cc", "memory"
                          : empty);
    *block = b;
    return true;
empty:
    return false;
}

static HK_ALWAYS_INLINE bool hk_section_push(struct hk_shelf *_Atomic *table, uintptr_t at, void *block)
{
    uintptr_t c = 0; /* as above */
    void *b = NULL;
    __asm__ volatile goto(HK_SECTION_SHELF "movq (%[c],%[at]), %[b]\n"
                                           "cmpw %w[b], 10(%[c],%[at])\n"
                                           "je %l[full]\n"
                                           "movq %[block], 8(%[b])\n"
                                           "addq $8, (%[c],%[at])\n"
                                           "3:\n"
                          : [c] "=&r"(c), [b] "=&r"(b)
                          : [table] "r"(table), [at] "r"(at), [area] "r"(hk_rseq_offset), [block] "r"(block)
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
    __asm__ volatile(HK_SECTION_SHELF "addq %[at], %[c]\n"
                                      "movq (%[c]), %[b]\n"
                                      "movzwl 10(%[c]), %k[k]\n"
                                      "subw %w[b], %w[k]\n"
                                      "shrl $3, %k[k]\n"
                                      "cmpl %k[n], %k[k]\n"
                                      "cmoval %k[n], %k[k]\n"
                                      "testl %k[k], %k[k]\n"
                                      "jz 3f\n"
                                      "xorl %k[i], %k[i]\n"
                                      "4: movq (%[blocks],%[i],8), %[x]\n"
                                      "movq %[x], 8(%[b],%[i],8)\n"
                                      "incl %k[i]\n"
                                      "cmpl %k[k], %k[i]\n"
                                      "jne 4b\n"
                                      "leaq (%[b],%[k],8), %[b]\n"
                                      "movq %[b], (%[c])\n"
                                      "3:\n"
                     : [c] "=&r"(c), [b] "=&r"(b), [k] "=&r"(k), [i] "=&r"(i), [x] "=&r"(x)
                     : [table] "r"(table), [at] "r"(at), [area] "r"(hk_rseq_offset), [blocks] "r"(blocks), [n] "r"(n)
                     : "cc", "memory");
    return (unsigned)k;
}

static inline unsigned hk_section_pop_many(struct hk_shelf *_Atomic *table, uintptr_t at, void **blocks, unsigned n)
{
    uintptr_t c, b, k, i, x;
    __asm__ volatile(HK_SECTION_SHELF "addq %[at], %[c]\n"
                                      "movq (%[c]), %[b]\n"
                                      "movzwl %w[b], %k[k]\n"
                                      "subw 8(%[c]), %w[k]\n"
                                      "shrl $3, %k[k]\n"
                                      "cmpl %k[n], %k[k]\n"
                                      "cmoval %k[n], %k[k]\n"
                                      "testl %k[k], %k[k]\n"
                                      "jz 3f\n"
                                      "leaq (,%[k],8), %[x]\n"
                                      "subq %[x], %[b]\n"
                                      "xorl %k[i], %k[i]\n"
                                      "4: movq 8(%[b],%[i],8), %[x]\n"
                                      "movq %[x], (%[blocks],%[i],8)\n"
                                      "incl %k[i]\n"
                                      "cmpl %k[k], %k[i]\n"
                                      "jne 4b\n"
                                      "movq %[b], (%[c])\n"
                                      "3:\n"
                     : [c] "=&r"(c), [b] "=&r"(b), [k] "=&r"(k), [i] "=&r"(i), [x] "=&r"(x)
                     : [table] "r"(table), [at] "r"(at), [area] "r"(hk_rseq_offset), [blocks] "r"(blocks), [n] "r"(n)
                     : "cc", "memory");
    return (unsigned)k;
}

static inline unsigned hk_section_take(struct hk_shelf *_Atomic *table, struct hk_shelf *none, struct hk_shelf **shelf)
{
    uintptr_t c;
    struct hk_shelf *b;
    __asm__ volatile(HK_SECTION_BEGIN "movq %[none], %[b]\n"
                                      "xchgq %[b], (%[table],%[c],8)\n"
                                      "3:\n"
                     : [c] "=&r"(c), [b] "=&r"(b)
                     : [table] "r"(table), [area] "r"(hk_rseq_offset), [none] "r"(none)
                     : "memory");
    *shelf = b;
    return (unsigned)c;
}

#endif
