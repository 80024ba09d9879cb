/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/list.h"

struct member {
    int value;
    struct hk_node node;
};

static struct member *of(struct hk_node *node)
{
    return HK_CONTAINER(node, struct member, node);
}

static void a_zeroed_head_is_empty(void **state)
{
    (void)state;
    struct hk_list list = {0};
    assert_null(list.first);
    assert_null(hk_list_pop(&list));
    assert_null(list.first);
}

static void the_last_pushed_is_the_first(void **state)
{
    (void)state;
    struct hk_list list = {0};
    struct member m[3] = {{1, {0}}, {2, {0}}, {3, {0}}};
    for (unsigned i = 0; i < 3; i++)
        hk_list_push(&list, &m[i].node);
    for (int i = 3; i > 0; i--)
        assert_int_equal(of(hk_list_pop(&list))->value, i);
    assert_null(hk_list_pop(&list));
}

static void a_removed_node_is_in_no_list(void **state)
{
    (void)state;
    struct hk_list list = {0}, other = {0};
    struct member m[2] = {{1, {0}}, {2, {0}}};
    hk_list_push(&list, &m[0].node);
    hk_list_push(&list, &m[1].node);
    hk_list_remove(&m[1].node);
    assert_null(m[1].node.next);
    assert_null(m[1].node.at);
    hk_list_push(&other, &m[1].node);
    assert_ptr_equal(list.first, &m[0].node);
    assert_ptr_equal(other.first, &m[1].node);
    hk_list_remove(&m[0].node);
    assert_null(list.first);
}

#define MEMBERS 40

/* Forwards by `next`, and each `at` points to the pointer that led here. */
static void compare(struct hk_list *list, const int *model, unsigned count)
{
    struct hk_node **from = &list->first;
    for (unsigned i = 0; i < count; i++) {
        assert_non_null(*from);
        assert_int_equal(of(*from)->value, model[i]);
        assert_ptr_equal((*from)->at, from);
        from = &(*from)->next;
    }
    assert_null(*from);
}

static void follows_the_model(void **state)
{
    (void)state;
    static struct member members[MEMBERS];
    struct hk_list list = {0};
    int model[MEMBERS];
    unsigned count = 0;
    uint64_t seed = 3;
    for (int i = 0; i < MEMBERS; i++)
        members[i].value = i;
    for (unsigned step = 0; step < 20000; step++) {
        int value = (int)unit_random(&seed, MEMBERS);
        struct hk_node *node = &members[value].node;
        if (unit_random(&seed, 8) == 0) {
            struct hk_node *popped = hk_list_pop(&list);
            assert_int_equal(popped != NULL, count > 0);
            if (count > 0) {
                assert_int_equal(of(popped)->value, model[0]);
                memmove(model, model + 1, --count * sizeof *model);
            }
        } else if (node->at == NULL) {
            hk_list_push(&list, node);
            memmove(model + 1, model, count++ * sizeof *model);
            model[0] = value;
        } else {
            unsigned at = 0;
            while (model[at] != value)
                at++;
            hk_list_remove(node);
            count--;
            memmove(model + at, model + at + 1, (count - at) * sizeof *model);
        }
        compare(&list, model, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zeroed_head_is_empty),
        cmocka_unit_test(the_last_pushed_is_the_first),
        cmocka_unit_test(a_removed_node_is_in_no_list),
        cmocka_unit_test(follows_the_model),
    };
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
