// The compiled form: the same tokenizer again, from memory and from a file; and nothing that a
// damaged, stale or unwritable file could change but the time.
#include "text/text_test.h"

#include "base/file.h"

#include "test/folder.h"

#include <sys/stat.h>
#include <unistd.h>

static const char TEXT[] =
    "Hello\xff w\xc3\xb6rlds, e\xcc\x81 unaffable <mask> the  12 \xe4\xb8\xad x";

// What a tokenizer makes of a text, as bytes that can be compared.
static Buf fingerprint(const Tokenizer *tokenizer) {
    Buf out = BUF_INIT(1 << 20);
    for (int special = 0; special < 2; special++) {
        EncodingList list;
        EncodeOptions options = {
            .add_special_tokens = special, .max_length = 12, .return_windows = true};
        Status status =
            tokenizer_encode(&list, tokenizer, SV(TEXT), SV("second text"), &options, NULL);
        buf_append(&out, &status, sizeof status);
        for (size_t i = 0; i < list.count; i++) {
            const Encoding *e = &list.items[i];
            buf_append(&out, e->ids, e->len * (5 * sizeof(uint32_t) + 2));
            tokenizer_decode(&out, tokenizer, e->ids, e->len, special, NULL);
        }
        encoding_list_free(&list);
    }
    size_t size = tokenizer_vocab_size(tokenizer);
    buf_append(&out, &size, sizeof size);
    buf_append(&out, tokenizer->roles, sizeof tokenizer->roles);
    for (size_t i = 0; i < size; i++) {
        StrView text = tokenizer_token(tokenizer, (int32_t)i);
        int32_t id = text.ptr ? tokenizer_token_id(tokenizer, text) : -1;
        buf_append_sv(&out, text);
        buf_append(&out, &id, sizeof id);
    }
    return out;
}

static void assert_same(const Tokenizer *a, const Tokenizer *b) {
    Buf x = fingerprint(a), y = fingerprint(b);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.ptr, y.ptr, x.len);
    buf_free(&x);
    buf_free(&y);
}

// Kinds that the golden files do not have: a charsmap's absence, a regular expression, word level,
// affixes, and steps of all sorts.
static const char *const OTHERS[] = {
    "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0,\"b\":1},\"unk_token\":\"a\"}}",
    "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":"
    "{\"Regex\":\"\\\\d+|[aeiou]\"},\"behavior\":\"MergedWithNext\",\"invert\":false},{\"type\":"
    "\"Split\",\"pattern\":{\"String\":\"l\"},\"behavior\":\"Isolated\",\"invert\":true},"
    "{\"type\":\"FixedLength\",\"length\":3},{\"type\":\"Metaspace\",\"replacement\":\"_\","
    "\"prepend_scheme\":\"first\",\"split\":false}]},\"normalizer\":{\"type\":\"Sequence\","
    "\"normalizers\":[{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"o+\"},\"content\":\"0\"},"
    "{\"type\":\"Prepend\",\"prepend\":\"x\"},{\"type\":\"Strip\",\"strip_left\":true,"
    "\"strip_right\":false}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":"
    "\"Replace\","
    "\"pattern\":{\"String\":\"_\"},\"content\":\" \"},{\"type\":\"Strip\",\"content\":\" \","
    "\"start\":1,\"stop\":0},{\"type\":\"CTC\",\"pad_token\":\"p\",\"word_delimiter_token\":\"|\","
    "\"cleanup\":true}]},\"model\":{\"type\":\"BPE\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"l\":"
    "1,"
    "\"e\":2,\"le\":3,\"_\":4},\"merges\":[\"l e\"]}}",
    "{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":{\"a\":0,\"b</w>\":1,"
    "\"ab</w>\":2},\"merges\":[\"a b</w>\"]}}",
    "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"<unk>\",0],"
    "[\"the\",-1.5],[\"t\",-3],[\"hello\",-2],[\"he\",-2],[\"\",-1]]}}",
};

static void every_kind_of_tokenizer_survives_compiling(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        Tokenizer *loaded = open_or_fail(sv(OTHERS[i])), *compiled;
        Block block = compile_block(loaded);
        Error error;
        if (compiled_read(&compiled, block.data, block.size, &error) != STATUS_OK)
            fail_msg("%zu: %s", i, error.message);
        assert_same(loaded, compiled);
        // Compiling what was compiled gives the same bytes.
        Block again = compile_block(compiled);
        assert_int_equal(again.size, block.size);
        assert_memory_equal(again.data, block.data, block.size);
        free(again.data);
        tokenizer_close(compiled);
        tokenizer_close(loaded);
        free(block.data);
    }
}

static void no_changed_byte_is_overlooked(void **state) {
    (void)state;
    Tokenizer *loaded = open_or_fail(sv(OTHERS[3])), *compiled;
    Block block = compile_block(loaded);
    for (size_t i = 0; i < block.size; i += i < 4096 ? 1 : 61) {
        block.data[i] ^= (uint8_t)(1u << i % 8);
        Status status = compiled_read(&compiled, block.data, block.size, NULL);
        if (status != STATUS_CORRUPT)
            fail_msg("byte %zu: status %d", i, status);
        assert_null(compiled);
        block.data[i] ^= (uint8_t)(1u << i % 8);
    }
    tokenizer_close(loaded);
    free(block.data);
}

static void no_cut_is_overlooked(void **state) {
    (void)state;
    Tokenizer *loaded = open_or_fail(sv(OTHERS[1])), *compiled;
    Block block = compile_block(loaded);
    for (size_t size = 0; size < block.size; size += size < 200 ? 1 : 97)
        assert_int_equal(compiled_read(&compiled, block.data, size, NULL), STATUS_CORRUPT);
    // Also with a checksum that is right again.
    for (size_t size = 16; size < block.size; size += size < 200 ? 1 : 97) {
        uint8_t *cut = aligned_alloc(16, (size + 15) / 16 * 16);
        assert_non_null(cut);
        memcpy(cut, block.data, size);
        compiled_seal(cut, size);
        assert_int_equal(compiled_read(&compiled, cut, size, NULL), STATUS_CORRUPT);
        free(cut);
    }
    tokenizer_close(loaded);
    free(block.data);
}

// No loader makes a step as long as this; were there one, text must go on as before.
static void a_tokenizer_that_cannot_be_compiled_stays_as_it_is(void **state) {
    (void)state;
    Tokenizer *alone = open_or_fail(sv(OTHERS[1])), *tried = open_or_fail(sv(OTHERS[1]));
    PreTokenizeStep *steps[] = {&alone->pretokenizer[2], &tried->pretokenizer[2]};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(steps[i]->kind, PRETOKENIZE_FIXED_LENGTH);
        steps[i]->length = PIPELINE_MAX_TEXT + 1;
    }
    assert_int_equal(compiled_size(tried), 0);
    assert_same(alone, tried);
    tokenizer_close(tried);
    tokenizer_close(alone);
}

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

// Damage that the checksum was made to fit: whatever opens may answer anything, but stays inside.
static void forged_files_do_no_harm(void **state) {
    (void)state;
    uint64_t random = 1;
    size_t opened = 0;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        Buf json = golden_tokenizer(GOLDEN_FILES[i], NULL);
        Tokenizer *loaded = open_or_fail(sv_n(json.ptr, json.len)), *forged;
        Block block = compile_block(loaded);
        uint8_t *copy = aligned_alloc(16, (block.size + 15) / 16 * 16);
        assert_non_null(copy);
        for (int round = 0; round < 400; round++) {
            memcpy(copy, block.data, block.size);
            for (int k = 0; k <= round % 5; k++) {
                // Most of a small file is the table of code points, at its beginning.
                size_t behind = next_random(&random) % (round & 1 ? block.size / 4 : block.size);
                copy[block.size - 1 - behind] = (uint8_t)next_random(&random);
            }
            compiled_seal(copy, block.size);
            if (compiled_read(&forged, copy, block.size, NULL) != STATUS_OK)
                continue;
            Buf out = fingerprint(forged);
            buf_free(&out);
            tokenizer_close(forged);
            opened++;
        }
        free(copy);
        free(block.data);
        tokenizer_close(loaded);
        buf_free(&json);
    }
    assert_true(opened > 100);
}

// ---- Files ----

typedef struct Folder {
    char path[64], compiled[128];
} Folder;

static void write_file(const Folder *folder, const char *name, StrView text) {
    char *path = path_join(folder->path, name);
    assert_int_equal(file_write_atomic(path, text.ptr, text.len, NULL), STATUS_OK);
    mem_free(path);
}

static Folder make_folder(const char *json) {
    Folder folder = {.path = "/tmp/gpux_compiled_XXXXXX"};
    assert_non_null(mkdtemp(folder.path));
    snprintf(folder.compiled, sizeof folder.compiled, "%s/.gpux/tokenizer.bin", folder.path);
    write_file(&folder, "tokenizer.json", sv(json));
    return folder;
}

static Tokenizer *open_folder(const Folder *folder, bool expect_mapped) {
    Tokenizer *tokenizer;
    Error error;
    if (tokenizer_open(&tokenizer, folder->path, folder->compiled, NULL, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    assert_int_equal(tokenizer->is_compiled, expect_mapped);
    return tokenizer;
}

static void the_second_open_maps_what_the_first_one_wrote(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        Folder folder = make_folder(OTHERS[i]);
        Tokenizer *first = open_folder(&folder, false), *second = open_folder(&folder, true);
        assert_same(first, second);
        tokenizer_close(first);
        tokenizer_close(second);
        remove_folder(folder.path);
    }
}

static void any_source_that_changes_comes_or_goes_is_noticed(void **state) {
    (void)state;
    Folder folder = make_folder(OTHERS[0]);
    tokenizer_close(open_folder(&folder, false));
    write_file(&folder, "tokenizer.json", sv(OTHERS[3]));
    Tokenizer *changed = open_folder(&folder, false);
    assert_int_equal(tokenizer_token_id(changed, SV("hello")), 3);
    tokenizer_close(changed);
    tokenizer_close(open_folder(&folder, true));
    write_file(&folder, "tokenizer_config.json", SV("{\"pad_token\": \"the\"}"));
    changed = open_folder(&folder, false);
    assert_int_equal(tokenizer_special_id(changed, "pad_token"), 1);
    tokenizer_close(changed);
    changed = open_folder(&folder, true);
    assert_int_equal(tokenizer_special_id(changed, "pad_token"), 1);
    tokenizer_close(changed);
    char path[128];
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder.path);
    assert_int_equal(unlink(path), 0);
    changed = open_folder(&folder, false);
    assert_int_equal(tokenizer_special_id(changed, "pad_token"), -1);
    tokenizer_close(changed);
    remove_folder(folder.path);
}

static void a_damaged_file_is_written_again(void **state) {
    (void)state;
    Folder folder = make_folder(OTHERS[3]);
    Tokenizer *loaded = open_folder(&folder, false);
    FileStat stat;
    assert_true(file_stat(&stat, folder.compiled));
    for (uint64_t at = 0; at < stat.size; at += at < 64 ? 7 : 4099) {
        Buf bytes = BUF_INIT(1 << 24);
        assert_int_equal(file_read(&bytes, folder.compiled, 1 << 24, NULL), STATUS_OK);
        bool is_cut = at % 2;
        bytes.ptr[at] ^= 0x20;
        assert_int_equal(
            file_write_atomic(folder.compiled, bytes.ptr, is_cut ? at : bytes.len, NULL),
            STATUS_OK);
        buf_free(&bytes);
        Tokenizer *tokenizer;
        assert_int_equal(tokenizer_open(&tokenizer, folder.path, folder.compiled, NULL, NULL),
                         STATUS_OK);
        assert_same(loaded, tokenizer);
        tokenizer_close(tokenizer);
        tokenizer_close(open_folder(&folder, true));
    }
    tokenizer_close(loaded);
    remove_folder(folder.path);
}

static void a_folder_that_takes_no_files_only_costs_time(void **state) {
    (void)state;
    Folder folder = make_folder(OTHERS[0]);
    write_file(&folder, ".gpux", SV("a file in its place"));
    tokenizer_close(open_folder(&folder, false));
    tokenizer_close(open_folder(&folder, false));
    remove_folder(folder.path);
}

static void failed_allocations_are_errors_or_cost_time(void **state) {
    (void)state;
    Folder folder = make_folder(OTHERS[1]);
    Tokenizer *loaded = open_folder(&folder, false);
    for (int is_stale = 0; is_stale < 2; is_stale++) {
        Status status = STATUS_OUT_OF_MEMORY;
        size_t failures = 0;
        for (size_t n = 1;; n++) {
            if (is_stale)
                unlink(folder.compiled);
            Tokenizer *tokenizer;
            mem_fail_after(n);
            status = tokenizer_open(&tokenizer, folder.path, folder.compiled, NULL, NULL);
            bool is_over = mem_fail_after(0) < n;
            assert_true(status == STATUS_OK || status == STATUS_OUT_OF_MEMORY);
            if (status == STATUS_OK)
                assert_same(loaded, tokenizer);
            else
                failures++;
            tokenizer_close(tokenizer);
            if (is_over)
                break;
        }
        assert_int_equal(status, STATUS_OK);
        assert_true(failures > 0);
    }
    tokenizer_close(loaded);
    remove_folder(folder.path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_tokenizer_survives_compiling),
        cmocka_unit_test(no_changed_byte_is_overlooked),
        cmocka_unit_test(no_cut_is_overlooked),
        cmocka_unit_test(a_tokenizer_that_cannot_be_compiled_stays_as_it_is),
        cmocka_unit_test(forged_files_do_no_harm),
        cmocka_unit_test(the_second_open_maps_what_the_first_one_wrote),
        cmocka_unit_test(any_source_that_changes_comes_or_goes_is_noticed),
        cmocka_unit_test(a_damaged_file_is_written_again),
        cmocka_unit_test(a_folder_that_takes_no_files_only_costs_time),
        cmocka_unit_test(failed_allocations_are_errors_or_cost_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
