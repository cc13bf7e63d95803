// Checkpoint folders: one file, shards, and folders that lie. Files are made here, byte by byte.
#include "checkpoint/checkpoint.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static void write_named(const char *name, const void *bytes, size_t len) {
    char *path = path_join(folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    mem_free(path);
}

static void write_tensors(const char *name, const char *header, size_t data_len) {
    Buf buf = BUF_INIT(64 << 20);
    uint64_t len = strlen(header);
    buf_append(&buf, &len, sizeof len);
    buf_append_cstr(&buf, header);
    for (size_t i = 0; i < data_len; i++)
        buf_append_byte(&buf, (char)i);
    assert_int_equal(buf.failed, STATUS_OK);
    write_named(name, buf.ptr, buf.len);
    buf_free(&buf);
}

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/gpux-checkpoint-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    FileList list;
    if (file_list(&list, folder, NULL) != STATUS_OK)
        return -1;
    for (size_t i = 0; i < list.count; i++) {
        char *path = path_join(folder, list.names[i]);
        unlink(path);
        mem_free(path);
    }
    file_list_free(&list);
    return rmdir(folder);
}

static void expect_failure(Status expected, const char *part) {
    Checkpoint *checkpoint;
    Error error = {0};
    assert_int_equal(checkpoint_open(&checkpoint, folder, &error), expected);
    assert_null(checkpoint);
    assert_int_equal(error.code, expected);
    if (!strstr(error.message, part))
        fail_msg("\"%s\" does not contain \"%s\"", error.message, part);
}

static void expect_header_failure(const char *header, size_t data_len, Status expected,
                                  const char *part) {
    write_tensors("model.safetensors", header, data_len);
    expect_failure(expected, part);
}

#define T(dtype, shape, begin, end)                                                                \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void single_file_opens_with_every_dtype(void **state) {
    (void)state;
    static const char *const names[] = {"F32", "F64", "F16", "BF16", "I8",  "U8",  "I16",
                                        "U16", "I32", "U32", "I64",  "U64", "BOOL"};
    Buf header = BUF_INIT(1 << 16);
    buf_append_cstr(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    size_t at = 0;
    for (size_t i = 0; i < 13; i++) {
        StrView name = sv_n(names[i], strlen(names[i]));
        size_t size = 3 * dtype_size(dtype_from_safetensors(name));
        buf_printf(&header, ",\"t%02zu\":{\"dtype\":\"%.*s\",", i, (int)name.len, name.ptr);
        buf_printf(&header, "\"shape\":[1,3],\"data_offsets\":[%zu,%zu]}", at, at + size);
        at += size;
    }
    buf_append_cstr(&header, "}   ");
    write_tensors("model.safetensors", header.ptr, at);
    Checkpoint *checkpoint;
    assert_int_equal(checkpoint_open(&checkpoint, folder, NULL), STATUS_OK);
    assert_int_equal(checkpoint_count(checkpoint), 13);
    assert_int_equal(checkpoint_parameters(checkpoint), 39);
    assert_string_equal(checkpoint_format(checkpoint), "safetensors");
    assert_int_equal(checkpoint_file_count(checkpoint), 1);
    assert_string_equal(checkpoint_file(checkpoint, 0), "model.safetensors");
    size_t expected = 0;
    for (size_t i = 0; i < 13; i++) {
        const CheckpointTensor *tensor = checkpoint_at(checkpoint, i);
        assert_int_equal(tensor->dtype, dtype_from_safetensors(sv(names[i])));
        assert_int_equal(tensor->rank, 2);
        assert_int_equal(tensor->shape[1], 3);
        assert_int_equal(tensor->offset, 8 + header.len + expected);
        assert_int_equal(tensor->data[0], (uint8_t)expected);
        assert_string_equal(tensor->file, "model.safetensors");
        expected += tensor->size;
    }
    assert_ptr_equal(checkpoint_find(checkpoint, "t07"), checkpoint_at(checkpoint, 7));
    assert_null(checkpoint_find(checkpoint, "t13"));
    assert_null(checkpoint_find(checkpoint, ""));
    checkpoint_close(checkpoint);
    buf_free(&header);
}

static void scalars_and_empty_tensors_are_accepted(void **state) {
    (void)state;
    write_tensors("model.safetensors",
                  "{\"b\":" T("F32", "[]", 0, 4) ",\"a\":" T("F32", "[0,7]", 4,
                                                             4) ",\"c\":" T("U8", "[2]", 4, 6) "}",
                  6);
    Checkpoint *checkpoint;
    assert_int_equal(checkpoint_open(&checkpoint, folder, NULL), STATUS_OK);
    assert_int_equal(checkpoint_count(checkpoint), 3);
    assert_string_equal(checkpoint_at(checkpoint, 0)->name, "a");
    assert_int_equal(checkpoint_find(checkpoint, "a")->size, 0);
    assert_int_equal(checkpoint_find(checkpoint, "b")->rank, 0);
    assert_int_equal(checkpoint_parameters(checkpoint), 3);
    checkpoint_close(checkpoint);
}

static void file_without_tensors_is_accepted(void **state) {
    (void)state;
    write_tensors("model.safetensors", "{}", 0);
    Checkpoint *checkpoint;
    assert_int_equal(checkpoint_open(&checkpoint, folder, NULL), STATUS_OK);
    assert_int_equal(checkpoint_count(checkpoint), 0);
    assert_null(checkpoint_find(checkpoint, "a"));
    checkpoint_close(checkpoint);
}

static void folder_without_weights_says_what_was_looked_for(void **state) {
    (void)state;
    expect_failure(STATUS_NOT_FOUND, "looked for model.safetensors and model.safetensors.index");
}

static void lying_headers_are_refused(void **state) {
    (void)state;
    expect_header_failure("[]", 0, STATUS_CORRUPT, "does not begin with '{'");
    expect_header_failure(" {}", 0, STATUS_CORRUPT, "does not begin with '{'");
    expect_header_failure("{\"a\":1}", 0, STATUS_CORRUPT, "\"a\": its entry is not an object");
    expect_header_failure("{\"a\":{}}", 0, STATUS_CORRUPT, "\"dtype\" is not a string");
    expect_header_failure("{\"a\":" T("F8_E4M3", "[4]", 0, 4) "}", 4, STATUS_UNSUPPORTED,
                          "\"a\": dtype F8_E4M3 is not supported");
    expect_header_failure("{\"a\":" T("", "[4]", 0, 4) "}", 4, STATUS_UNSUPPORTED, "dtype");
    expect_header_failure("{\"a\":" T("U8", "4", 0, 4) "}", 4, STATUS_CORRUPT, "not a list");
    expect_header_failure("{\"a\":" T("U8", "[-4]", 0, 4) "}", 4, STATUS_CORRUPT,
                          "something else than sizes");
    expect_header_failure("{\"a\":" T("U8", "[4.0]", 0, 4) "}", 4, STATUS_CORRUPT,
                          "something else than sizes");
    expect_header_failure("{\"a\":" T("U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", 1, STATUS_LIMIT,
                          "rank 9");
    expect_header_failure("{\"a\\u0000b\":" T("U8", "[1]", 0, 1) "}", 1, STATUS_CORRUPT, "NUL");
    expect_header_failure("{\"a\":{},\"a\":{}}", 0, STATUS_CORRUPT, "header");
    expect_header_failure("{\"a\":", 0, STATUS_CORRUPT, "header");
}

static void lying_offsets_are_refused(void **state) {
    (void)state;
    expect_header_failure("{\"a\":" T("U8", "[4]", 4, 0) "}", 4, STATUS_CORRUPT, "backwards");
    expect_header_failure("{\"a\":" T("U8", "[4]", -4, 0) "}", 4, STATUS_CORRUPT, "backwards");
    expect_header_failure("{\"a\":" T("U8", "[5]", 0, 5) "}", 4, STATUS_CORRUPT,
                          "ends at byte 5 of 4");
    expect_header_failure("{\"a\":" T("U8", "[5]", 0, 9223372036854775807) "}", 5, STATUS_CORRUPT,
                          "cut short");
    expect_header_failure("{\"a\":" T("U8", "[5]", 0, 9223372036854775808) "}", 5, STATUS_CORRUPT,
                          "");
    expect_header_failure("{\"a\":" T("F32", "[2]", 0, 4) "}", 4, STATUS_CORRUPT,
                          "float32 [2] needs 8 bytes, \"data_offsets\" give 4");
    expect_header_failure("{\"a\":" T("F32", "[4294967296,4294967296]", 0, 0) "}", 0,
                          STATUS_CORRUPT, "overflows");
    expect_header_failure("{\"a\":" T("F32", "[4611686018427387904]", 0, 0) "}", 0, STATUS_CORRUPT,
                          "overflows");
    expect_header_failure("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1,
                          STATUS_CORRUPT, "not a pair");
    expect_header_failure("{\"a\":" T("U8", "[4]", 0, 4) ",\"b\":" T("U8", "[4]", 2, 6) "}", 6,
                          STATUS_CORRUPT, "overlap");
    expect_header_failure("{\"a\":" T("U8", "[4]", 0, 4) ",\"b\":" T("U8", "[4]", 0, 4) "}", 4,
                          STATUS_CORRUPT, "overlap");
    expect_header_failure("{\"a\":" T("U8", "[4]", 0, 4) ",\"b\":" T("U8", "[4]", 5, 9) "}", 9,
                          STATUS_CORRUPT, "1 bytes before it belong to no tensor");
    expect_header_failure("{\"a\":" T("U8", "[4]", 1, 5) "}", 5, STATUS_CORRUPT, "1 bytes before");
    expect_header_failure("{\"a\":" T("U8", "[4]", 0, 4) "}", 6, STATUS_CORRUPT,
                          "2 bytes at the end");
}

static void lying_header_lengths_are_refused(void **state) {
    (void)state;
    write_named("model.safetensors", "", 0);
    expect_failure(STATUS_CORRUPT, "0 bytes are too few");
    write_named("model.safetensors", "\x02\0\0\0\0\0\0", 7);
    expect_failure(STATUS_CORRUPT, "7 bytes are too few");
    write_named("model.safetensors", "\0\0\0\0\0\0\0\0", 8);
    expect_failure(STATUS_CORRUPT, "does not begin");
    write_named("model.safetensors", "\x03\0\0\0\0\0\0\0{}", 10);
    expect_failure(STATUS_CORRUPT, "header of 3 bytes in a file of 10");
    write_named("model.safetensors", "\x01\xe1\xf5\x05\0\0\0\0{}", 10);
    expect_failure(STATUS_LIMIT, "header of 100000001 bytes");
    write_named("model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    expect_failure(STATUS_LIMIT, "over the limit");
}

static void every_truncation_of_a_file_is_refused(void **state) {
    (void)state;
    const char *header = "{\"a\":" T("U8", "[4]", 0, 4) "}";
    char bytes[128];
    uint64_t len = strlen(header);
    memcpy(bytes, &len, 8);
    memcpy(bytes + 8, header, len);
    memset(bytes + 8 + len, 0, 4);
    for (size_t size = 0; size < 12 + len; size++) {
        write_named("model.safetensors", bytes, size);
        Checkpoint *checkpoint;
        assert_int_not_equal(checkpoint_open(&checkpoint, folder, NULL), STATUS_OK);
        assert_null(checkpoint);
    }
}

static void write_index(const char *text) {
    write_named("model.safetensors.index.json", text, strlen(text));
}

static void write_two_shards(void) {
    write_tensors("s-1.safetensors",
                  "{\"z\":" T("U8", "[4]", 0, 4) ",\"b\":" T("U8", "[1]", 4, 5) "}", 5);
    write_tensors("s-2.safetensors", "{\"c\":" T("F32", "[1]", 0, 4) "}", 4);
    write_index("{\"metadata\":{\"total_size\":9},\"weight_map\":{\"c\":\"s-2.safetensors\","
                "\"z\":\"s-1.safetensors\",\"b\":\"s-1.safetensors\"}}");
}

static void shards_open_as_one_checkpoint(void **state) {
    (void)state;
    write_two_shards();
    Checkpoint *checkpoint;
    assert_int_equal(checkpoint_open(&checkpoint, folder, NULL), STATUS_OK);
    assert_int_equal(checkpoint_count(checkpoint), 3);
    assert_string_equal(checkpoint_at(checkpoint, 0)->name, "b");
    assert_string_equal(checkpoint_at(checkpoint, 1)->name, "c");
    assert_string_equal(checkpoint_at(checkpoint, 2)->name, "z");
    assert_string_equal(checkpoint_find(checkpoint, "c")->file, "s-2.safetensors");
    assert_string_equal(checkpoint_find(checkpoint, "z")->file, "s-1.safetensors");
    assert_int_equal(checkpoint_find(checkpoint, "b")->data[0], 4);
    assert_int_equal(checkpoint_file_count(checkpoint), 2);
    assert_string_equal(checkpoint_file(checkpoint, 1), "s-2.safetensors");
    assert_int_equal(checkpoint_parameters(checkpoint), 6);
    checkpoint_close(checkpoint);
}

static void lying_indexes_are_refused(void **state) {
    (void)state;
    write_two_shards();
    write_index("{}");
    expect_failure(STATUS_CORRUPT, "no \"weight_map\"");
    write_index("{\"weight_map\":{}}");
    expect_failure(STATUS_CORRUPT, "no \"weight_map\"");
    write_index("{\"weight_map\":{\"c\":1}}");
    expect_failure(STATUS_CORRUPT, "\"c\" is not a string");
    write_index("{\"weight_map\":{\"c\":\"s-2.safetensors\",\"q\":\"s-2.safetensors\"}}");
    expect_failure(STATUS_CORRUPT, "tensor \"q\" is not in s-2.safetensors");
    write_index("{\"weight_map\":{\"c\":\"s-1.safetensors\",\"z\":\"s-2.safetensors\"}}");
    expect_failure(STATUS_CORRUPT, "is not in s-");
    write_index("{\"weight_map\":{\"c\":\"s-2.safetensors\",\"c\\u0000\":\"s-2.safetensors\"}}");
    expect_failure(STATUS_CORRUPT, "");
    write_index("{\"weight_map\":{\"c\":\"s-3.safetensors\"}}");
    expect_failure(STATUS_NOT_FOUND, "s-3.safetensors");
}

static void shard_names_outside_the_folder_are_refused(void **state) {
    (void)state;
    static const char *const names[] = {"../s", "/etc/passwd", "a/b",     "..", ".",
                                        "",     "./s",         "s\\u0000"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"weight_map\":{\"c\":\"%s\"}}", names[i]);
        write_index(text);
        expect_failure(STATUS_CORRUPT, "is not the name of a file in the folder");
    }
}

static void a_name_in_two_shards_is_refused(void **state) {
    (void)state;
    write_tensors("s-1.safetensors", "{\"c\":" T("U8", "[4]", 0, 4) "}", 4);
    write_tensors("s-2.safetensors",
                  "{\"c\":" T("F32", "[1]", 0, 4) ",\"d\":" T("F32", "[1]", 4, 8) "}", 8);
    write_index("{\"weight_map\":{\"c\":\"s-1.safetensors\",\"d\":\"s-2.safetensors\"}}");
    expect_failure(STATUS_CORRUPT, "tensor \"c\" is both in");
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    write_two_shards();
    for (size_t n = 1;; n++) {
        Checkpoint *checkpoint;
        mem_fail_after(n);
        Status status = checkpoint_open(&checkpoint, folder, NULL);
        mem_fail_after(0);
        if (status == STATUS_OK) {
            assert_true(n > 5);
            checkpoint_close(checkpoint);
            return;
        }
        assert_int_equal(status, STATUS_OUT_OF_MEMORY);
        assert_null(checkpoint);
    }
}

// The bound is ten times what a release build needs, so that only a change of order fails.
static void five_thousand_tensors_open_quickly(void **state) {
    (void)state;
    Buf header = BUF_INIT(8 << 20);
    for (int i = 0; i < 5000; i++)
        buf_printf(&header,
                   "%c\"model.layers.%d.self_attn.q_proj.weight\":{\"dtype\":\"F32\",\"shape\":"
                   "[1,2],\"data_offsets\":[%d,%d]}",
                   i ? ',' : '{', i, i * 8, i * 8 + 8);
    buf_append_cstr(&header, "}");
    write_tensors("model.safetensors", header.ptr, 40000);
    buf_free(&header);
    uint64_t start = clock_now_ns();
    Checkpoint *checkpoint;
    assert_int_equal(checkpoint_open(&checkpoint, folder, NULL), STATUS_OK);
    uint64_t elapsed = clock_now_ns() - start;
    assert_int_equal(checkpoint_count(checkpoint), 5000);
    checkpoint_close(checkpoint);
    print_message("5000 tensors: %.2f ms\n", (double)elapsed / 1e6);
    assert_true(elapsed < 400 * 1000 * 1000);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        CASE(single_file_opens_with_every_dtype),
        CASE(scalars_and_empty_tensors_are_accepted),
        CASE(file_without_tensors_is_accepted),
        CASE(folder_without_weights_says_what_was_looked_for),
        CASE(lying_headers_are_refused),
        CASE(lying_offsets_are_refused),
        CASE(lying_header_lengths_are_refused),
        CASE(every_truncation_of_a_file_is_refused),
        CASE(shards_open_as_one_checkpoint),
        CASE(lying_indexes_are_refused),
        CASE(shard_names_outside_the_folder_are_refused),
        CASE(a_name_in_two_shards_is_refused),
        CASE(every_failed_allocation_is_an_error),
        CASE(five_thousand_tensors_open_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
