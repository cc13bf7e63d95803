// Conversion of whole folders: what appears, what is kept, and that a failure leaves no trace.
#include "store/store_test.h"

#include "onnx/onnx.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

static char temp[TEST_PATH];   // one test's own folder
static char folder[TEST_PATH]; // the model inside
static char other[TEST_PATH];  // a folder for -o, not made

static int make_folders(void **state) {
    (void)state;
    make_temp(temp);
    at(folder, temp, "My_Model");
    at(other, temp, "out/other");
    return 0;
}

static int remove_folders(void **state) {
    (void)state;
    remove_tree(temp);
    return 0;
}

static JsonDoc *convert_ok(const ConvertOptions *options) {
    Buf report = BUF_INIT(TEST_TEXT);
    Error error = {0};
    JsonDoc *doc = NULL;
    Status status = store_convert(&report, folder, options, &error);
    if (status != STATUS_OK)
        fail_msg("%s", error.message);
    assert_int_equal(json_parse(&doc, sv_n(report.ptr, report.len), 0, NULL), STATUS_OK);
    buf_free(&report);
    return doc;
}

// The conversion fails with this message and leaves everything below `temp` as it was.
static void convert_fails(const ConvertOptions *options, Status expected, const char *message) {
    Buf report = BUF_INIT(TEST_TEXT);
    Error error = {0};
    char *before = tree_text(temp);
    Status status = store_convert(&report, folder, options, &error);
    if (status != expected || !strstr(error.message, message))
        fail_msg("%d: %s", status, error.message);
    assert_int_equal(error.code, expected);
    assert_int_equal(report.len, 0);
    buf_free(&report);
    char *after = tree_text(temp);
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
}

static Project *open_project(const char *where) {
    char path[TEST_PATH];
    Project *project = NULL;
    Error error = {0};
    if (project_open(&project, at(path, where, CONFIG_FILE), NULL, NULL, NULL, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return project;
}

static JsonDoc *open_json(const char *where, const char *name) {
    JsonDoc *doc = NULL;
    assert_int_equal(folder_json(&doc, where, name, NULL), STATUS_OK);
    assert_non_null(doc);
    return doc;
}

static void check_port(const ProjectPort *port, const char *name, DType type, int rank,
                       int64_t first, int64_t last) {
    assert_string_equal(port->name, name);
    assert_int_equal(port->type, type);
    assert_int_equal(port->has_shape, rank > 0);
    assert_int_equal(port->rank, rank);
    if (rank > 0) {
        assert_int_equal(port->shape[0], first);
        assert_int_equal(port->shape[rank - 1], last);
    }
}

// ---- What appears ----

static void a_classifier_gets_three_files(void **state) {
    (void)state;
    copy_folder(folder, GOLDEN "bert-classify");
    write_text(folder, "tokenizer.json", "{}");
    JsonDoc *report = convert_ok(&(ConvertOptions){0});
    const JsonValue *root = json_root(report);
    assert_string_equal(json_cstr_or(root, "path", ""), folder);
    assert_string_equal(json_cstr_or(root, "task", ""), "text-classification");
    assert_string_equal(json_cstr_or(root, "architecture", ""), "BertForSequenceClassification");
    assert_string_equal(json_cstr_or(root, "format", ""), "onnx");
    assert_int_equal(json_i64_or(root, "opset", 0), 18);
    assert_int_equal(json_len(json_get(root, "warnings")), 0);
    assert_true(json_f64_or(root, "convert_time_s", -1) >= 0);
    int64_t size = json_i64_or(root, "size_bytes", 0),
            parameters = json_i64_or(root, "parameters", 0);

    char path[TEST_PATH];
    OnnxModel *model = NULL;
    OnnxSummary *summary = NULL;
    assert_int_equal(onnx_open(&model, at(path, folder, MODEL_FILE), NULL), STATUS_OK);
    onnx_close(model);
    assert_int_equal(onnx_summarize(&summary, path, NULL), STATUS_OK);
    assert_string_equal(summary->producer_name, "gpux");
    assert_int_equal(summary->size_bytes, size);
    onnx_summary_free(summary);

    Project *project = open_project(folder);
    assert_string_equal(project->name, "my-model");
    assert_string_equal(project->version, "1.0.0");
    assert_string_equal(project->task, "text-classification");
    assert_string_equal(project->model_source, "./model.onnx");
    assert_string_equal(project->runtime.gpu_memory_text, "2GB");
    assert_string_equal(project->preprocessing.tokenizer, "./tokenizer.json");
    assert_int_equal(project->preprocessing.max_length, 11);
    assert_int_equal(project->input_count, 1);
    assert_int_equal(project->output_count, 1);
    check_port(&project->inputs[0], "inputs", DTYPE_STRING, 0, 0, 0);
    check_port(&project->outputs[0], "logits", DTYPE_F32, 2, 1, 3);
    assert_int_equal(project->outputs[0].label_count, 3);
    assert_string_equal(project->outputs[0].labels[2], "blue");
    assert_non_null(strstr(project->metadata_json, "\"converter\":\"gpux "));
    assert_non_null(strstr(project->metadata_json, "\"onnx_opset_version\":18"));
    project_close(project);

    JsonDoc *metadata = open_json(folder, METADATA_FILE);
    root = json_root(metadata);
    assert_int_equal(json_i64_or(root, "schema", 0), 1);
    assert_true(json_bool_or(root, "complete", false));
    assert_string_equal(json_cstr_or(root, "source_format", ""), "safetensors");
    assert_string_equal(json_cstr_or(root, "precision", ""), "fp32");
    assert_int_equal(json_i64_or(root, "parameters", 0), parameters);
    const JsonValue *info = json_get(root, "file_info");
    static const char *const NAMES[] = {"model.safetensors", "config.json", "tokenizer.json",
                                        "model.onnx", "gpux.yml"};
    assert_int_equal(json_len(info), 5);
    int64_t total = 0;
    for (size_t i = 0; i < 5; i++) {
        FileStat stat;
        assert_true(file_stat(&stat, at(path, folder, NAMES[i])));
        assert_int_equal(json_i64_or(json_get(info, NAMES[i]), "size", -1), stat.size);
        total += (int64_t)stat.size;
    }
    assert_int_equal(json_i64_or(root, "size_bytes", 0), total);
    json_free(metadata);
    json_free(report);
}

static void every_golden_model_converts_twice(void **state) {
    (void)state;
    FileList names;
    assert_int_equal(file_list(&names, GOLDEN, NULL), STATUS_OK);
    assert_true(names.count > 20);
    for (size_t i = 0; i < names.count; i++) {
        char from[TEST_PATH];
        copy_folder(folder, at(from, GOLDEN, names.names[i]));
        json_free(convert_ok(&(ConvertOptions){0}));
        char *first = read_text(folder, MODEL_FILE);
        JsonDoc *report = convert_ok(&(ConvertOptions){0}); // its own files are replaced
        assert_int_equal(json_len(json_get(json_root(report), "warnings")), 0);
        json_free(report);
        mem_free(first);
        project_close(open_project(folder));
        remove_tree(folder);
    }
    file_list_free(&names);
}

static void each_task_has_its_friendly_ports(void **state) {
    (void)state;
    static const struct {
        const char *golden, *task, *input, *output;
        int inputs, outputs, rank;
        int64_t first, last;
    } CASES[] = {
        {"bert-encoder", "feature-extraction", "inputs", "embeddings", 1, 1, 2, -1, 25},
        {"bert-tokens", "token-classification", "inputs", "logits", 1, 1, 3, 1, 3},
        {"bert-mask", "fill-mask", "inputs", "logits", 1, 1, 3, 1, 53},
        {"bert-answer", "question-answering", "question", "answer", 2, 2, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char from[TEST_PATH];
        copy_folder(folder, at(from, GOLDEN, CASES[i].golden));
        json_free(convert_ok(&(ConvertOptions){0}));
        Project *project = open_project(folder);
        assert_string_equal(project->task, CASES[i].task);
        assert_int_equal(project->input_count, CASES[i].inputs);
        assert_int_equal(project->output_count, CASES[i].outputs);
        check_port(&project->inputs[0], CASES[i].input, DTYPE_STRING, 0, 0, 0);
        assert_string_equal(project->outputs[0].name, CASES[i].output);
        if (CASES[i].rank > 0)
            check_port(&project->outputs[0], CASES[i].output, DTYPE_F32, CASES[i].rank,
                       CASES[i].first, CASES[i].last);
        assert_null(project->preprocessing.tokenizer);
        project_close(project);
        remove_tree(folder);
    }
}

static void modules_make_an_encoder_a_sentence_model(void **state) {
    (void)state;
    copy_folder(folder, GOLDEN "bert-encoder");
    write_text(folder, "modules.json",
               "[{\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},"
               "{\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"}]");
    write_text(folder, "1_Pooling/config.json", "{\"pooling_mode_mean_tokens\":true}");
    write_text(folder, "sentence_bert_config.json", "{\"max_seq_length\":9}");
    JsonDoc *report = convert_ok(&(ConvertOptions){0});
    assert_string_equal(json_cstr_or(json_root(report), "task", ""), "sentence-similarity");
    json_free(report);
    Project *project = open_project(folder);
    assert_int_equal(project->preprocessing.max_length, 9);
    project_close(project);
    // The limit never passes the model's positions.
    write_text(folder, "sentence_bert_config.json", "{\"max_seq_length\":500}");
    json_free(convert_ok(&(ConvertOptions){.task = "feature-extraction"}));
    project = open_project(folder);
    assert_int_equal(project->preprocessing.max_length, 17);
    assert_string_equal(project->task, "feature-extraction");
    project_close(project);
}

static void another_folder_gets_copies_of_everything(void **state) {
    (void)state;
    char path[TEST_PATH], link_path[TEST_PATH], blob[TEST_PATH];
    copy_folder(at(blob, temp, "blobs"), GOLDEN "roberta-encoder");
    write_text(blob, "1_Pooling/config.json",
               "{\"pooling_mode_cls_token\":true,"
               "\"pooling_mode_mean_tokens\":false}");
    write_text(blob, "modules.json", "[{\"path\":\"1_Pooling\",\"type\":\"a.Pooling\"}]");
    // As a hub cache lays it out: every file is a link.
    FileList names;
    assert_int_equal(file_list(&names, blob, NULL), STATUS_OK);
    assert_int_equal(file_make_dirs(folder, NULL), STATUS_OK);
    for (size_t i = 0; i < names.count; i++)
        assert_int_equal(
            symlink(at(path, blob, names.names[i]), at(link_path, folder, names.names[i])), 0);
    file_list_free(&names);
    convert_fails(&(ConvertOptions){0}, STATUS_CONVERSION, "use -o OTHER");
    JsonDoc *report = convert_ok(&(ConvertOptions){.output = other});
    assert_string_equal(json_cstr_or(json_root(report), "path", ""), other);
    json_free(report);
    OnnxModel *model = NULL;
    assert_int_equal(onnx_open(&model, at(path, other, MODEL_FILE), NULL), STATUS_OK);
    onnx_close(model);
    static const char *const COPIES[] = {"config.json", "1_Pooling/config.json",
                                         "model-00002-of-00002.safetensors", "modules.json",
                                         "model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof COPIES / sizeof COPIES[0]; i++) {
        FileStat stat;
        assert_true(file_stat(&stat, at(path, other, COPIES[i])));
        assert_true(stat.is_regular && !stat.is_symlink && stat.links == 1);
    }
    assert_false(folder_has(folder, MODEL_FILE));
    Project *project = open_project(other);
    assert_string_equal(project->name, "other");
    assert_string_equal(project->task, "sentence-similarity");
    project_close(project);
    json_free(convert_ok(&(ConvertOptions){.output = other})); // again
}

static void a_hard_link_is_refused_in_place(void **state) {
    (void)state;
    char path[TEST_PATH], second[TEST_PATH];
    copy_folder(folder, GOLDEN "bert-mask");
    assert_int_equal(link(at(path, folder, "model.safetensors"), at(second, temp, "second")), 0);
    convert_fails(&(ConvertOptions){0}, STATUS_CONVERSION, "shared by hard links");
    json_free(convert_ok(&(ConvertOptions){.output = other}));
}

static void an_output_equal_to_the_folder_is_in_place(void **state) {
    (void)state;
    char same[TEST_PATH];
    copy_folder(folder, GOLDEN "bert-mask");
    at(same, temp, "./My_Model/../My_Model/.");
    char *before = read_text(folder, "config.json");
    json_free(convert_ok(&(ConvertOptions){.output = same}));
    char *after = read_text(folder, "config.json");
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
}

static void opset_and_task_are_taken_from_the_options(void **state) {
    (void)state;
    copy_folder(folder, GOLDEN "bert-encoder");
    JsonDoc *report = convert_ok(&(ConvertOptions){.opset = 21, .task = "sentence-similarity"});
    assert_int_equal(json_i64_or(json_root(report), "opset", 0), 21);
    assert_string_equal(json_cstr_or(json_root(report), "task", ""), "sentence-similarity");
    json_free(report);
    assert_int_equal(store_convert(NULL, folder, &(ConvertOptions){0}, NULL), STATUS_OK);
}

static void labels_with_entailment_are_zero_shot(void **state) {
    (void)state;
    copy_folder(folder, GOLDEN "bert-classify");
    char *config = read_text(folder, "config.json");
    memcpy(strstr(config, "\"red\""), "\"ent\"", 5); // still three labels, none of them entailment
    write_text(folder, "config.json", config);
    convert_fails(&(ConvertOptions){.task = "zero-shot-classification"}, STATUS_INVALID,
                  "needs a label that says entailment");
    Buf text = BUF_INIT(TEST_TEXT);
    char *label = strstr(config, "\"ent\"");
    buf_append(&text, config, (size_t)(label - config));
    buf_append_cstr(&text, "\"Entailment\"");
    buf_append_cstr(&text, label + 5);
    write_text(folder, "config.json", text.ptr);
    buf_free(&text);
    mem_free(config);
    JsonDoc *report = convert_ok(&(ConvertOptions){0});
    assert_string_equal(json_cstr_or(json_root(report), "task", ""), "zero-shot-classification");
    json_free(report);
    Project *project = open_project(folder);
    assert_int_equal(project->input_count, 2);
    check_port(&project->outputs[0], "scores", DTYPE_F32, 1, -1, -1);
    project_close(project);
    json_free(convert_ok(&(ConvertOptions){.task = "text-classification"}));
}

// ---- What is kept ----

static void a_configuration_of_someone_else_is_kept(void **state) {
    (void)state;
    static const char MINE[] = "name: mine\nmodel: {source: ./model.onnx}\n"
                               "inputs: {text: string}\noutputs: {mood: float32}\n";
    copy_folder(folder, GOLDEN "bert-classify");
    write_text(folder, CONFIG_FILE, MINE);
    write_text(folder, METADATA_FILE, "{\"about\": \"my notes\"}");
    JsonDoc *report = convert_ok(&(ConvertOptions){0});
    const JsonValue *warnings = json_get(json_root(report), "warnings");
    StrView text;
    assert_int_equal(json_len(warnings), 2);
    assert_true(json_as_string(&text, json_at(warnings, 0)));
    assert_true(sv_starts_with(text, SV("gpux.yml was not written by gpux and is kept")));
    json_free(report);
    char *kept = read_text(folder, CONFIG_FILE);
    assert_string_equal(kept, MINE);
    mem_free(kept);
    kept = read_text(folder, METADATA_FILE);
    assert_string_equal(kept, "{\"about\": \"my notes\"}");
    mem_free(kept);
    assert_true(folder_has(folder, MODEL_FILE));
    report = convert_ok(&(ConvertOptions){.force = true});
    assert_int_equal(json_len(json_get(json_root(report), "warnings")), 0);
    json_free(report);
    Project *project = open_project(folder);
    assert_string_equal(project->name, "my-model");
    project_close(project);
}

static void the_origin_of_a_pulled_model_is_kept(void **state) {
    (void)state;
    copy_folder(folder, GOLDEN "bert-classify");
    write_text(
        folder, METADATA_FILE,
        "{\"registry\":\"huggingface\",\"model_id\":\"Org/My_Colours\",\"revision\":\"main\","
        "\"files\":{},\"commit\":\"abc\",\"complete\":false,\"tags\":[\"x\"]}");
    json_free(convert_ok(&(ConvertOptions){0}));
    JsonDoc *metadata = open_json(folder, METADATA_FILE);
    const JsonValue *root = json_root(metadata);
    assert_string_equal(json_cstr_or(root, "model_id", ""), "Org/My_Colours");
    assert_string_equal(json_cstr_or(root, "commit", ""), "abc");
    assert_int_equal(json_len(json_get(root, "tags")), 1);
    assert_true(json_bool_or(root, "complete", false));
    json_free(metadata);
    Project *project = open_project(folder);
    assert_string_equal(project->name, "org-my-colours");
    assert_string_equal(project->model_id, "Org/My_Colours");
    assert_string_equal(project->model_registry, "huggingface");
    project_close(project);
}

static void a_model_file_of_someone_else_needs_force(void **state) {
    (void)state;
    copy_folder(folder, GOLDEN "bert-mask");
    write_text(folder, MODEL_FILE, "not a model");
    convert_fails(&(ConvertOptions){0}, STATUS_INVALID, "was not written by gpux");
    json_free(convert_ok(&(ConvertOptions){.force = true}));
    json_free(convert_ok(&(ConvertOptions){0}));
}

static void files_in_another_folder_need_force(void **state) {
    (void)state;
    copy_folder(folder, GOLDEN "bert-mask");
    write_text(other, "config.json", "{}");
    convert_fails(&(ConvertOptions){.output = other}, STATUS_INVALID, "'config.json' in");
    json_free(convert_ok(&(ConvertOptions){.output = other, .force = true}));
}

// ---- What fails ----

static void faults_of_the_checkpoint_leave_nothing(void **state) {
    (void)state;
    char path[TEST_PATH];
    convert_fails(&(ConvertOptions){0}, STATUS_NOT_FOUND, "Model folder not found: ");
    copy_folder(folder, GOLDEN "bert-classify");
    char *config = read_text(folder, "config.json");
    unlink(at(path, folder, "config.json"));
    convert_fails(&(ConvertOptions){.output = other}, STATUS_CONVERSION, "no config.json");
    write_text(folder, "config.json", "{\"architectures\": [");
    convert_fails(&(ConvertOptions){0}, STATUS_CONVERSION, "config.json: ");
    write_text(folder, "config.json", "{\"architectures\": [\"GPTNeoXForCausalLM\"]}");
    convert_fails(&(ConvertOptions){.output = other}, STATUS_CONVERSION, "GPTNeoXForCausalLM");
    *strstr(config, "\"2\": \"blue\"") = ' ';
    write_text(folder, "config.json", config);
    convert_fails(&(ConvertOptions){0}, STATUS_CONVERSION, "config.json");
    mem_free(config);
    copy_folder(folder, GOLDEN "bert-classify");
    convert_fails(&(ConvertOptions){.opset = 12}, STATUS_CONVERSION, "opset 12");
    convert_fails(&(ConvertOptions){.task = "fill-mask"}, STATUS_INVALID,
                  "task 'fill-mask' does not fit BertForSequenceClassification");
    write_text(folder, "model.safetensors", "short");
    convert_fails(&(ConvertOptions){.output = other}, STATUS_CONVERSION, "model.safetensors");
    unlink(at(path, folder, "model.safetensors"));
    write_text(folder, "pytorch_model.bin", "pickle");
    convert_fails(&(ConvertOptions){0}, STATUS_CONVERSION, "model.safetensors");
}

static void modules_that_gpux_cannot_compute_fail(void **state) {
    (void)state;
    copy_folder(folder, GOLDEN "bert-encoder");
    write_text(folder, "modules.json", "[{\"path\":\"2_Dense\",\"type\":\"x.models.Dense\"}]");
    convert_fails(&(ConvertOptions){0}, STATUS_CONVERSION, "module 'Dense' is not supported");
    write_text(folder, "modules.json", "[{\"path\":\"../..\",\"type\":\"x.models.Pooling\"}]");
    convert_fails(&(ConvertOptions){.output = other}, STATUS_CONVERSION,
                  "leaves the model's folder");
}

static void an_output_that_is_a_file_is_refused(void **state) {
    (void)state;
    copy_folder(folder, GOLDEN "bert-mask");
    write_text(temp, "out/other", "a file");
    convert_fails(&(ConvertOptions){.output = other}, STATUS_INVALID, "not a folder");
    char below[TEST_PATH];
    at(below, other, "deeper");
    convert_fails(&(ConvertOptions){.output = below}, STATUS_IO, "out/other");
}

static void a_folder_named_like_a_result_is_left_alone(void **state) {
    (void)state;
    char path[TEST_PATH];
    copy_folder(folder, GOLDEN "bert-mask");
    write_text(folder, "gpux.yml/inside", "x");
    convert_fails(&(ConvertOptions){.force = true}, STATUS_INVALID, "a folder is in the way");
    remove_tree(at(path, folder, "gpux.yml"));
    write_text(folder, "model.onnx/inside", "x");
    convert_fails(&(ConvertOptions){0}, STATUS_INVALID, "was not written by gpux");
    convert_fails(&(ConvertOptions){.force = true}, STATUS_INVALID, "a folder is in the way");
}

// As another user when root runs the tests, whom no permission stops.
static void a_read_only_folder_is_told(void **state) {
    (void)state;
    copy_folder(folder, GOLDEN "bert-mask");
    assert_int_equal(chmod(folder, 0555), 0);
    bool is_root = geteuid() == 0;
    if (is_root)
        assert_int_equal(seteuid(65534), 0);
    convert_fails(&(ConvertOptions){0}, STATUS_IO, "cannot write into folder: Permission denied");
    convert_fails(&(ConvertOptions){.output = "/proc/gpux"}, STATUS_NOT_FOUND, "/proc/gpux");
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(folder, 0755), 0);
}

// A limit on the size of files stands for a full disk: writing stops in the middle.
static void a_write_that_stops_leaves_nothing(void **state) {
    (void)state;
    copy_folder(folder, GOLDEN "bert-mask");
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    static const rlim_t LIMITS[] = {0, 400, 5000};
    for (size_t i = 0; i < 3; i++) {
        limit = (struct rlimit){.rlim_cur = LIMITS[i], .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        convert_fails(&(ConvertOptions){.output = i == 1 ? other : NULL}, STATUS_IO,
                      "File too large");
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    }
    signal(SIGXFSZ, SIG_DFL);
}

static void old_files_come_back_when_publishing_fails(void **state) {
    (void)state;
    char path[TEST_PATH], work[TEST_PATH];
    write_text(temp, "a.txt", "old a");
    write_text(temp, "b.txt", "old b");
    char *before = tree_text(temp);
    Buf bytes = BUF_INIT(100);
    buf_append_cstr(&bytes, "new");
    Staging staging = {0};
    assert_int_equal(staging_open(&staging, temp, 4, NULL), STATUS_OK);
    assert_int_equal(staging_write(&staging, "a.txt", &bytes, NULL), STATUS_OK);
    assert_int_equal(staging_write(&staging, "new/deep/c.txt", &bytes, NULL), STATUS_OK);
    assert_int_equal(staging_write(&staging, "b.txt", &bytes, NULL), STATUS_OK);
    buf_free(&bytes);
    snprintf(work, sizeof work, "%s", staging.folder);
    unlink(at(path, work, "2")); // what was written for b.txt
    Error error = {0};
    assert_int_equal(staging_publish(&staging, &error), STATUS_NOT_FOUND);
    assert_non_null(strstr(error.message, "b.txt"));
    staging_close(&staging);
    char *after = tree_text(temp);
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
}

// Every allocation fails in turn: in place over an older result, and into another folder.
static void sweep(const ConvertOptions *options) {
    char *before = tree_text(temp);
    for (size_t n = 1;; n++) {
        Buf report = BUF_INIT(TEST_TEXT);
        Error error = {0};
        mem_fail_after(n);
        Status status = store_convert(&report, folder, options, &error);
        mem_fail_after(0);
        buf_free(&report);
        if (status == STATUS_OK)
            break;
        if (status != STATUS_OUT_OF_MEMORY)
            fail_msg("allocation %zu: %d: %s", n, status, error.message);
        char *after = tree_text(temp);
        assert_string_equal(before, after);
        mem_free(after);
        assert_true(n < 20000);
    }
    mem_free(before);
}

static void running_out_of_memory_leaves_nothing(void **state) {
    (void)state;
    copy_folder(folder, GOLDEN "bert-encoder");
    write_text(folder, "modules.json",
               "[{\"path\":\"1_Pooling\",\"type\":\"a.Pooling\"},"
               "{\"path\":\"2_Normalize\",\"type\":\"a.Normalize\"}]");
    write_text(folder, "1_Pooling/config.json", "{}");
    write_text(folder, "tokenizer_config.json", "{\"model_max_length\":12}");
    sweep(&(ConvertOptions){0});
    sweep(&(ConvertOptions){.output = other});
    sweep(&(ConvertOptions){0}); // over the older result
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_folders, remove_folders)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_classifier_gets_three_files),
        CASE(every_golden_model_converts_twice),
        CASE(each_task_has_its_friendly_ports),
        CASE(modules_make_an_encoder_a_sentence_model),
        CASE(another_folder_gets_copies_of_everything),
        CASE(a_hard_link_is_refused_in_place),
        CASE(an_output_equal_to_the_folder_is_in_place),
        CASE(opset_and_task_are_taken_from_the_options),
        CASE(labels_with_entailment_are_zero_shot),
        CASE(a_configuration_of_someone_else_is_kept),
        CASE(the_origin_of_a_pulled_model_is_kept),
        CASE(a_model_file_of_someone_else_needs_force),
        CASE(files_in_another_folder_need_force),
        CASE(faults_of_the_checkpoint_leave_nothing),
        CASE(modules_that_gpux_cannot_compute_fail),
        CASE(an_output_that_is_a_file_is_refused),
        CASE(a_folder_named_like_a_result_is_left_alone),
        CASE(a_read_only_folder_is_told),
        CASE(a_write_that_stops_leaves_nothing),
        CASE(old_files_come_back_when_publishing_fails),
        CASE(running_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
