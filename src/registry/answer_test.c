// The hub's headers and JSON, honest and not.
#include "registry/private.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HEX40 "0123456789abcdef0123456789abcdef01234567"
#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static HubHeaders headers;

static void read_lines(const char *const *lines) {
    answer_header(&headers, SV("HTTP/1.1 200 OK\r\n"));
    for (size_t i = 0; lines[i]; i++)
        answer_header(&headers, sv(lines[i]));
}

static void a_status_line_starts_a_new_answer(void **state) {
    (void)state;
    read_lines((const char *const[]){"X-Repo-Commit: " HEX40 "\r\n", "Content-Length: 7", NULL});
    assert_int_equal(headers.status, 200);
    assert_string_equal(headers.commit, HEX40);
    assert_int_equal(headers.content_length, 7);
    answer_header(&headers, SV("HTTP/2 404 \r\n"));
    assert_int_equal(headers.status, 404);
    assert_string_equal(headers.commit, "");
    assert_int_equal(headers.content_length, LIMIT_UNKNOWN);
    answer_header(&headers, SV("HTTP/1.1 -12"));
    assert_int_equal(headers.status, 0);
}

static void the_linked_etag_wins_in_any_order_and_only_digests_count(void **state) {
    (void)state;
    read_lines((const char *const[]){"etag: W/\"" HEX40 "\"", NULL});
    assert_string_equal(headers.etag, HEX40);
    read_lines((const char *const[]){"X-LINKED-ETAG: \"" HEX64 "\"", "ETag: \"" HEX40 "\"", NULL});
    assert_string_equal(headers.etag, HEX64);
    read_lines((const char *const[]){"ETag: \"" HEX40 "\"", "X-Linked-Etag: " HEX64, NULL});
    assert_string_equal(headers.etag, HEX64);
    read_lines((const char *const[]){"ETag: \"abc-2\"", NULL});
    assert_string_equal(headers.etag, "");
    read_lines((const char *const[]){"ETag: \"../../../../../../../../../../../../../x\"", NULL});
    assert_string_equal(headers.etag, "");
}

static void numbers_that_are_none_are_unknown(void **state) {
    (void)state;
    static const char *const BAD[] = {
        "-1", "x", "", "9223372036854775808", "1e3", "99999999999999999"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        char line[80] = "X-Linked-Size: ";
        strcat(line, BAD[i]);
        read_lines((const char *const[]){line, NULL});
        assert_int_equal(headers.linked_size, LIMIT_UNKNOWN);
    }
}

static void ranges_limits_and_links_are_read(void **state) {
    (void)state;
    read_lines((const char *const[]){
        "Content-Range: bytes 10-99/100", "RateLimit: \"api\";r=0;t=55", "Retry-After: 7",
        "Link: <https://h/p?cursor=1>; rel=\"prev\", <https://h/p?cursor=2>; rel=\"next\"",
        "Location: /api/x", NULL});
    assert_int_equal(headers.range_start, 10);
    assert_int_equal(headers.range_total, 100);
    assert_int_equal(headers.limit_left, 0);
    assert_int_equal(headers.limit_reset_s, 55);
    assert_int_equal(headers.retry_after_s, 7);
    assert_string_equal(headers.next, "https://h/p?cursor=2");
    assert_string_equal(headers.location, "/api/x");
    read_lines((const char *const[]){"Content-Range: bytes */100", "RateLimit: r=;t=", NULL});
    assert_int_equal(headers.range_start, LIMIT_UNKNOWN);
    assert_int_equal(headers.range_total, 100);
    assert_int_equal(headers.limit_left, LIMIT_UNKNOWN);
}

static void an_address_that_does_not_fit_is_not_cut(void **state) {
    (void)state;
    static char line[ADDRESS_SIZE + 100] = "Location: ";
    memset(line + 10, 'a', sizeof line - 11);
    read_lines((const char *const[]){line, NULL});
    assert_true(headers.is_address_cut);
    assert_string_equal(headers.location, "");
}

static const char MODEL[] =
    "{\"id\": \"org/new\", \"sha\": \"" HEX40 "\", \"pipeline_tag\": \"fill-mask\", \"siblings\": ["
    "{\"rfilename\": \"z.bin\", \"size\": 9, \"blobId\": \"" HEX40
    "\", \"lfs\": {\"sha256\": \"" HEX64 "\", \"size\": 1000, \"pointerSize\": 134}},"
    "{\"rfilename\": \"a/b.json\", \"size\": 5, \"blobId\": \"" HEX40 "\"},"
    "{\"rfilename\": \"z.bin\"},"
    "{\"rfilename\": \"c.txt\"}]}";

static void a_description_becomes_sorted_files_with_digests(void **state) {
    (void)state;
    HubModel model = {0};
    Error error;
    assert_int_equal(answer_model(&model, sv(MODEL), &error), STATUS_OK);
    assert_string_equal(model.commit, HEX40);
    assert_string_equal(model.id, "org/new");
    assert_int_equal(model.file_count, 3);
    assert_string_equal(model.files[0].path, "a/b.json");
    assert_string_equal(model.files[0].hash, HEX40);
    assert_int_equal(model.files[0].size, 5);
    assert_string_equal(model.files[1].path, "c.txt");
    assert_int_equal(model.files[1].size, LIMIT_UNKNOWN);
    assert_int_equal(hub_model_find(&model, "c.txt")->size, LIMIT_UNKNOWN);
    assert_null(hub_model_find(&model, "absent"));
    static const char TREE[] =
        "[{\"type\": \"directory\", \"path\": \"a\"}, {\"type\": \"file\", \"path\": \"c.txt\", "
        "\"size\": 3, \"oid\": \"" HEX40 "\"}, {\"type\": \"file\", \"path\": \"unknown\"},"
        "{\"type\":\"file\",\"path\":\"z.bin\",\"size\":1000,\"oid\":\"" HEX40
        "\",\"lfs\":{\"oid\":\"" HEX64 "\",\"size\":1000}}]";
    assert_int_equal(answer_tree(&model, sv(TREE), &error), STATUS_OK);
    assert_int_equal(hub_model_find(&model, "c.txt")->size, 3);
    assert_string_equal(hub_model_find(&model, "c.txt")->hash, HEX40);
    assert_string_equal(hub_model_find(&model, "z.bin")->hash, HEX64);
    assert_int_equal(hub_model_find(&model, "z.bin")->size, 1000);
    assert_int_equal(answer_tree(&model, SV("{}"), &error), STATUS_CORRUPT);
    hub_model_free(&model);
}

static void what_is_no_answer_of_a_hub_is_corrupt(void **state) {
    (void)state;
    static const char *const BAD[] = {
        "<html>",
        "",
        "[]",
        "null",
        "{\"sha\": \"main\"}",
        "{\"sha\": 5}",
        "{\"sha\": \"" HEX40 "\", \"siblings\": [{}]}",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        HubModel model = {0};
        Error error;
        assert_int_equal(answer_model(&model, sv(BAD[i]), &error), STATUS_CORRUPT);
        hub_model_free(&model);
    }
}

static void paths_that_lead_outside_are_refused(void **state) {
    (void)state;
    static const char *const BAD[] = {
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "",
        "./a",
        "a/.",
        "a/./b",
        "a\\u0000b",
        "a\\nb",
        "..",
        "a/",
        "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        Buf text = BUF_INIT(1 << 16);
        HubModel model = {0};
        Error error;
        buf_printf(&text, "{\"sha\": \"" HEX40 "\", \"siblings\": [{\"rfilename\": \"%s\"}]}",
                   BAD[i]);
        assert_int_equal(answer_model(&model, sv_n(text.ptr, text.len), &error), STATUS_INVALID);
        hub_model_free(&model);
        buf_free(&text);
    }
    assert_true(is_safe_path(SV("1_Pooling/config.json")));
    assert_true(is_safe_path(SV(".gitattributes")));
    assert_true(is_safe_path(SV("a..b/...")));
    assert_false(is_safe_path(SV("\xff")));
}

static void every_failing_allocation_is_an_error(void **state) {
    (void)state;
    Status status = STATUS_OUT_OF_MEMORY;
    size_t n = 0;
    while (status != STATUS_OK) {
        HubModel model = {0};
        const char *format;
        mem_fail_after(++n);
        status = answer_model(&model, sv(MODEL), NULL);
        if (status == STATUS_OK)
            status = needed_mark(&model, &format, NULL, true, NULL);
        mem_fail_after(0);
        assert_true(status == STATUS_OK || status == STATUS_OUT_OF_MEMORY);
        hub_model_free(&model);
    }
    assert_true(n > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_line_starts_a_new_answer),
        cmocka_unit_test(the_linked_etag_wins_in_any_order_and_only_digests_count),
        cmocka_unit_test(numbers_that_are_none_are_unknown),
        cmocka_unit_test(ranges_limits_and_links_are_read),
        cmocka_unit_test(an_address_that_does_not_fit_is_not_cut),
        cmocka_unit_test(a_description_becomes_sorted_files_with_digests),
        cmocka_unit_test(what_is_no_answer_of_a_hub_is_corrupt),
        cmocka_unit_test(paths_that_lead_outside_are_refused),
        cmocka_unit_test(every_failing_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
