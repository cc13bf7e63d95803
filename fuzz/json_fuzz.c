// Fuzz target: the checking pass, the tree and the reader of numeric arrays agree on what JSON is.
#include "base/json.h"
#include "base/memory.h"

#include <stdlib.h>

static void require(bool holds) {
    if (!holds)
        abort();
}

// A written tree must parse again.
static void write_and_reparse(const JsonValue *root) {
    Buf text = BUF_INIT(64 << 20);
    JsonWriter writer = json_writer(&text, 2);
    json_write_value(&writer, root);
    require(text.failed == STATUS_OK);
    JsonDoc *again;
    require(json_parse(&again, sv_n(text.ptr, text.len), JSON_REJECT_DUPLICATES, NULL) ==
            STATUS_OK);
    require(json_kind(json_root(again)) == json_kind(root));
    require(json_len(json_root(again)) == json_len(root));
    json_free(again);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    StrView text = sv_n((const char *)data, size);
    Error error;
    JsonScan scan;
    JsonDoc *doc;
    JsonNumbers numbers;
    Status scanned = json_scan(&scan, text, &error);
    Status parsed = json_parse(&doc, text, 0, &error);
    Status read = json_read_numbers(&numbers, text, &error);
    require(scanned == parsed);
    if (read == STATUS_OK)
        require(scanned == STATUS_OK);
    if (scanned == STATUS_OK) {
        require(scan.kind == json_kind(json_root(doc)));
        require(scan.kind != JSON_ARRAY || scan.count == json_len(json_root(doc)));
        for (size_t i = 0; i < scan.count; i++) {
            JsonNumbers part;
            Status status = json_read_numbers(&part, scan.spans[i].text, &error);
            if (scan.spans[i].is_numeric_array)
                require(status == STATUS_OK || status == STATUS_INVALID);
            json_numbers_free(&part);
        }
        write_and_reparse(json_root(doc));
    }
    json_numbers_free(&numbers);
    json_free(doc);
    json_scan_free(&scan);
    return 0;
}
