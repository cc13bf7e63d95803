// The buckets of relative positions against those that transformers computes.
#include "models/blocks.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void buckets_equal_those_of_transformers(void **state) {
    (void)state;
    JsonDoc *doc;
    Error error;
    if (json_parse_file(&doc, "test/golden/models/mpnet-encoder/expected.json", 1 << 20, 0,
                        &error) != STATUS_OK)
        fail_msg("%s", error.message);
    const JsonValue *buckets = json_get(json_root(doc), "relative_buckets");
    int64_t reach = (int64_t)json_len(buckets) / 2;
    assert_int_equal(reach, 79);
    for (int64_t distance = -reach; distance <= reach; distance++) {
        int64_t expected;
        assert_true(json_as_i64(&expected, json_at(buckets, (size_t)(distance + reach))));
        assert_int_equal(mpnet_bucket(distance), expected);
    }
    json_free(doc);
}

static void buckets_end_at_a_distance_of_91(void **state) {
    (void)state;
    assert_int_equal(mpnet_bucket(-90), 14);
    assert_int_equal(mpnet_bucket(-91), 15);
    assert_int_equal(mpnet_bucket(-1000000), 15);
    assert_int_equal(mpnet_bucket(90), 30);
    assert_int_equal(mpnet_bucket(91), 31);
    assert_int_equal(mpnet_bucket(1000000), 31);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_equal_those_of_transformers),
        cmocka_unit_test(buckets_end_at_a_distance_of_91),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
