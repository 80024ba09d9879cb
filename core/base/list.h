/* SPDX-License-Identifier: MIT
 *
 * list: a doubly linked list whose links lie in the members. A zeroed head is an empty list.
 *
 * The caller synchronises. A node is in at most one list. Knows nobody.
 */
#ifndef HK_BASE_LIST_H
#define HK_BASE_LIST_H

#include "base/atomic.h"
#include "base/compiler.h"

struct hk_node {
    struct hk_node *next; /* NULL at the end */
    struct hk_node **at;  /* the pointer that points here: the head or the previous node's next */
};

struct hk_list {
    struct hk_node *first;
};

static inline void hk_list_push(struct hk_list *list, struct hk_node *node)
{
    node->next = list->first;
    node->at = &list->first;
    if (node->next)
        node->next->at = &node->next;
    hk_poke(&list->first, node); /* some look, without the lock, whether there is one */
}

static inline void hk_list_remove(struct hk_node *node)
{
    hk_poke(node->at, node->next);
    if (node->next)
        node->next->at = node->at;
    node->next = NULL;
    node->at = NULL;
}

/* Takes the first node out, or NULL. */
static inline struct hk_node *hk_list_pop(struct hk_list *list)
{
    struct hk_node *node = list->first;
    if (node)
        hk_list_remove(node);
    return node;
}

#endif
