/* SPDX-License-Identifier: MIT
 *
 * board_list: what stands on the board (board.h), in order, each name with where it comes from. tools/live/board.py has
 * the same names in the same order; the test `lint/board` compares. New ones come last, and the version stays; who
 * changes what one means raises HK_BOARD_VERSION.
 *
 * Knows nothing: the last columns are for whoever has what they name. Included by api/board.h and api/board.c only.
 */
#ifndef HK_API_BOARD_LIST_H
#define HK_API_BOARD_LIST_H

/* Sizes and offsets of what is read, in bytes where nothing else is said. */
#define HK_BOARD_NUMBERS(X)                                                                                           \
    X(classes, HK_CLASS_COUNT) /* class 0 included, which has no blocks */                                            \
    X(class_bytes, sizeof(struct hk_class_info))                                                                      \
    X(heap_link_at, offsetof(struct hk_heap, all))                                                                    \
    X(heap_state_at, offsetof(struct hk_heap, owner.state))                                                           \
    X(heap_alive, HK_OWNER_ALIVE)                                                                                     \
    X(heap_shared_at, offsetof(struct hk_heap, shared))                                                               \
    X(heap_refills_at, offsetof(struct hk_heap, refills))                                                             \
    X(heap_flushes_at, offsetof(struct hk_heap, flushes))                                                             \
    X(heap_chains_at, offsetof(struct hk_heap, chains))                                                               \
    X(thread_seen_at, offsetof(struct hk_thread, seen))                                                               \
    X(thread_metrics_at, offsetof(struct hk_thread, metrics))                                                         \
    X(thread_own_at, offsetof(struct hk_thread, own))                                                                 \
    X(bin_kind, HK_BOARD_BIN) /* enum hk_board_bin */                                                                 \
    X(bins_at, offsetof(struct hk_front, bin))                                                                        \
    X(bin_bytes, sizeof(struct hk_bin))                                                                               \
    X(back_at, HK_TLS_SLL ? offsetof(struct hk_thread, back) + offsetof(struct hk_back, list) : 0) /* 0: none */      \
    X(back_bytes, sizeof(struct hk_sll))                                                                              \
    X(back_count_at, offsetof(struct hk_sll, count))                                                                  \
    X(superslab_bytes, sizeof(struct hk_superslab))                                                                   \
    X(superslab_link_at, offsetof(struct hk_superslab, list))                                                         \
    X(superslab_empty_at, offsetof(struct hk_superslab, empty_mask))                                                  \
    X(superslab_unused_at, offsetof(struct hk_superslab, unused_mask))                                                \
    X(superslab_huge_at, offsetof(struct hk_superslab, huge))                                                         \
    X(superslab_slabs_at, offsetof(struct hk_superslab, slab))                                                        \
    X(slabs, HK_SLABS)                                                                                                \
    X(slab_size, HK_SLAB_SIZE)                                                                                        \
    X(slab_bytes, sizeof(struct hk_slab))                                                                             \
    X(slab_used_at, offsetof(struct hk_slab, used))                                                                   \
    X(slab_carved_at, offsetof(struct hk_slab, carved))                                                               \
    X(slab_capacity_at, offsetof(struct hk_slab, capacity))                                                           \
    X(slab_class_at, offsetof(struct hk_slab, cls))                                                                   \
    X(slab_length_at, offsetof(struct hk_slab, slabs))                                                                \
    X(slab_state_at, offsetof(struct hk_slab, state))                                                                 \
    X(slab_remote_at, offsetof(struct hk_slab, remote))                                                               \
    X(remote_shift, HK_REMOTE_POINTER_BITS)                                                                           \
    X(stages, HK_STAGE_COUNT)                                                                                         \
    X(huge_buckets, HK_HUGE_BUCKETS)                                                                                  \
    X(page, HK_PAGE)                                                                                                  \
    X(unit_size, HK_UNIT_SIZE)                                                                                        \
    X(tables_mib, HK_TABLES / HK_MIB)                                                                                 \
    X(transfer_places, HK_TRANSFER_PLACES)                                                                            \
    X(transfer_count_at, sizeof(struct hk_lock))                                                                      \
    X(superslab_purged_at, offsetof(struct hk_superslab, purged_mask))                                                \
    X(superslab_owners_at, offsetof(struct hk_superslab, owner))                                                      \
    X(private_at,                                                                                                     \
      HK_FRONT_SLAB ? offsetof(struct hk_superslab, lists) : 0) /* 0: none; count is the word at 8 less that at 12 */ \
    X(private_bytes, sizeof(struct hk_private))                                                                       \
    X(transfer_nodes, HK_NUMA_NODES) /* for so many nodes there is room in the table of arrays */

/* Where things are. NULL: this build has none of it. */
#define HK_BOARD_PLACES(X)                             \
    X(classes_table, hk_class_table)                   \
    X(heaps, hk_heap_seen)                             \
    X(orphan_heap, &hk_orphan_heap)                    \
    X(pool, hk_pool_seen)                              \
    X(pool_owned_slabs, &hk_pool_owned)                \
    X(arena_run_pages, &hk_arena_run_pages)            \
    X(arena_dirty_pages, &hk_arena_dirty_pages)        \
    X(huge, hk_huge_seen)                              \
    X(meta, hk_meta_seen)                              \
    X(side_chunks, &hk_side_chunks)                    \
    X(side, hk_side_seen)                              \
    X(space_base, &hk_space_base)                      \
    X(space_units, &hk_space_units)                    \
    X(os, hk_os_seen)                                  \
    X(locks, hk_lock_seen)                             \
    X(purge, hk_purge_seen)                            \
    X(peak, HK_STATS ? hk_peak_seen : NULL)            \
    X(transfer, HK_TRANSFER ? hk_transfer_seen : NULL) \
    X(percpu, HK_FRONT_PERCPU ? hk_percpu_seen : NULL) \
    X(profile, hk_profile_seen)

#endif
